# A context is an object.

call session_save {"session_id": "s"}
  error invalid_argument: context is required
call session_save {"session_id": "s", "context": [1]}
  error invalid_argument: context must be an object, got a list of 1
call session_save {"session_id": "s", "context": "{}"}
  {"ok":true,"session_id":"s","revision":1}
call session_save {"session_id": "s", "context": null}
  error invalid_argument: context is required
call session_save {"session_id": "", "context": {}}
  error invalid_argument: session_id must not be empty
call session_restore {}
  error invalid_argument: session_id is required
call session_list {}
  {"sessions":[{"session_id":"s","revision":1,"saved_at":1700000000.0,"updated_at":1700000000.0}]}
