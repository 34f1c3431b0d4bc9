# Older entries are reached by before_id.

call state_set {"key": "x", "value": 1}
  {"ok":true,"revision":1}
call state_set {"key": "x", "value": 2}
  {"ok":true,"revision":2}
call state_set {"key": "x", "value": 3}
  {"ok":true,"revision":3}
let page = call history_log {"n": 2}
  {"entries":[{"id":3,"key":"x","new_value":3,"previous_value":2,"agent_id":null,"written_at":1700000000.0,"action":"state_set","revision":3,"chain":"3f8ed2b86211c1c4d7a2349a77f62a0f1233ab60b94eb8d7e81d942f89cd8ca3"},{"id":2,"key":"x","new_value":2,"previous_value":1,"agent_id":null,"written_at":1700000000.0,"action":"state_set","revision":2,"chain":"933d8701760b2af4b349d6408c4c4cd220ac7bbbfbccbcb57a12a11162a463a9"}],"total":2,"next_before_id":2,"remaining":1}
call history_log {"n": 2, "before_id": $page.next_before_id}
  {"entries":[{"id":1,"key":"x","new_value":1,"previous_value":null,"agent_id":null,"written_at":1700000000.0,"action":"state_set","revision":1,"chain":"a893220a0fee9484aa9bae8ae0aa121e2802726bfc1d0941115451ebbd84c746"}],"total":1}
# Before the first there is none.
call history_log {"before_id": 0}
  {"entries":[],"total":0}
