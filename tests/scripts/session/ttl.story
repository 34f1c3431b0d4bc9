# A session that was saved for a time is forgotten after it.

call session_save {"session_id": "s", "context": {"a": 1}, "ttl_seconds": 10}
  {"ok":true,"session_id":"s","revision":1}
call session_save {"session_id": "kept", "context": {}}
  {"ok":true,"session_id":"kept","revision":2}
advance 10s
call session_restore {"session_id": "s"}
  {"found":false,"session_id":"s","context":null}
call session_list {}
  {"sessions":[{"session_id":"kept","revision":2,"saved_at":1700000000.0,"updated_at":1700000000.0}]}
sweep
  removed 1
call history_log {"key": "session:s", "n": 1}
  {"entries":[{"id":3,"key":"session:s","new_value":null,"previous_value":{"a":1},"agent_id":null,"written_at":1700000010.0,"action":"session_expire","revision":3,"chain":"0230eb978903cd0cd59207e91654e7b3a149a6b5860cbdf17c6008618274f432"}],"total":1,"next_before_id":3,"remaining":1}
