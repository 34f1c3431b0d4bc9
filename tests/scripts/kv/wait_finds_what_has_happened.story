# A change after the given revision is found at once, and the answer says where to
# go on.

let a = call state_set {"key": "k", "value": 1}
  {"ok":true,"revision":1}
call state_set {"key": "other", "value": 1}
  {"ok":true,"revision":2}
call state_set {"key": "k", "value": 2}
  {"ok":true,"revision":3}
let seen = call state_wait {"key": "k", "after_revision": $a.revision, "timeout_seconds": 0}
  {"changed":true,"events":[{"id":3,"key":"k","new_value":2,"previous_value":1,"agent_id":null,"written_at":1700000000.0,"action":"state_set","revision":3,"chain":"dc44a42a341ad1c675ee7e3cc12413a3aa457fdad4bfd5911e48291f698e8f64"}],"revision":3}
call state_wait {"key": "k", "after_revision": $seen.revision, "timeout_seconds": 0}
  {"changed":false,"events":[],"revision":3}
call state_wait {"prefix": "o", "after_revision": 0, "timeout_seconds": 0}
  {"changed":true,"events":[{"id":2,"key":"other","new_value":1,"previous_value":null,"agent_id":null,"written_at":1700000000.0,"action":"state_set","revision":2,"chain":"8bb09bb0ed924f08c5d7744012974e27f2a18351ca3e9f5906f39bf8ad4e95d2"}],"revision":3}
