# With if_revision a key changes only if nobody else has changed it.

let first = call state_set {"key": "k", "value": 1}
  {"ok":true,"revision":1}
call state_set {"key": "k", "value": 2, "if_revision": $first.revision}
  {"ok":true,"revision":2}
call state_set {"key": "k", "value": 3, "if_revision": $first.revision}
  {"ok":false,"revision":2,"reason":"if_revision: the key is at revision 2, not 1"}
call state_get {"key": "k"}
  {"key":"k","value":2,"found":true,"revision":2}
