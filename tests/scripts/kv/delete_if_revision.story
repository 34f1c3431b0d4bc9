# With if_revision a key is deleted only if it is still the same.

let first = call state_set {"key": "k", "value": 1}
  {"ok":true,"revision":1}
call state_set {"key": "k", "value": 2}
  {"ok":true,"revision":2}
call state_delete {"key": "k", "if_revision": $first.revision}
  {"ok":false,"revision":2,"reason":"if_revision: the key is at revision 2, not 1"}
call state_get {"key": "k"}
  {"key":"k","value":2,"found":true,"revision":2}
