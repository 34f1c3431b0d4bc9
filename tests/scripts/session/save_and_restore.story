# A context is kept as a whole, with the order of its members, and is replaced as a
# whole.

call session_restore {"session_id": "s"}
  {"found":false,"session_id":"s","context":null}
call session_save {"session_id": "s", "context": {"step": 1, "notes": ["x"], "a": 1.50}, "agent_id": "a"}
  {"ok":true,"session_id":"s","revision":1}
call session_restore {"session_id": "s"}
  {"found":true,"session_id":"s","context":{"step":1,"notes":["x"],"a":1.50},"revision":1,"saved_at":1700000000.0,"updated_at":1700000000.0}
advance 1s
call session_save {"session_id": "s", "context": {}}
  {"ok":true,"session_id":"s","revision":2}
call session_restore {"session_id": "s"}
  {"found":true,"session_id":"s","context":{},"revision":2,"saved_at":1700000000.0,"updated_at":1700000001.0}
