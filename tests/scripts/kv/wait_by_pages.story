# More changes than the limit come in pages, and none is missing.

call state_set {"key": "a", "value": 1}
  {"ok":true,"revision":1}
call state_set {"key": "b", "value": 2}
  {"ok":true,"revision":2}
call state_set {"key": "c", "value": 3}
  {"ok":true,"revision":3}
let page = call state_wait {"prefix": "", "after_revision": 0, "timeout_seconds": 0, "limit": 2}
  {"changed":true,"events":[{"id":1,"key":"a","new_value":1,"previous_value":null,"agent_id":null,"written_at":1700000000.0,"action":"state_set","revision":1,"chain":"f8e1866b74830a0cd0510228a46112ed1448f83594d5806c87ecaa3d6886e305"},{"id":2,"key":"b","new_value":2,"previous_value":null,"agent_id":null,"written_at":1700000000.0,"action":"state_set","revision":2,"chain":"70bd6f62a6626c692650fddb4b3cd87f43ba0b06d55dc3dadc4a7ca0f529ac71"}],"revision":2,"more":true,"remaining_at_least":1}
call state_wait {"prefix": "", "after_revision": $page.revision, "timeout_seconds": 0, "limit": 2}
  {"changed":true,"events":[{"id":3,"key":"c","new_value":3,"previous_value":null,"agent_id":null,"written_at":1700000000.0,"action":"state_set","revision":3,"chain":"09f9868ab0c19e62561a1f56e9bd6a60444418b4c5d68aeb414ee489f43c43bf"}],"revision":3}
