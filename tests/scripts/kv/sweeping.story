# The sweep removes what has expired and writes it into the history.

call state_set {"key": "a", "value": 1, "ttl_seconds": 1}
  {"ok":true,"revision":1}
call state_set {"key": "b", "value": 2, "ttl_seconds": 60}
  {"ok":true,"revision":2}
sweep
  removed 0
advance 1s
sweep
  removed 1
sweep
  removed 0
call history_log {"n": 1}
  {"entries":[{"id":3,"key":"a","new_value":null,"previous_value":1,"agent_id":null,"written_at":1700000001.0,"action":"state_expire","revision":3,"chain":"e3170e6059ecec1f922ea8da99d15198f568853e00c461a295dbb04ba6aca5aa"}],"total":1,"next_before_id":3,"remaining":2}
call state_delete {"key": "a"}
  {"ok":false,"revision":0}
