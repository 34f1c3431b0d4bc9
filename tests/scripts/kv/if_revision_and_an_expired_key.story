# An expired key does not exist, although no sweep has removed it.

call state_set {"key": "k", "value": 1, "ttl_seconds": 1}
  {"ok":true,"revision":1}
advance 1s
call state_set {"key": "k", "value": 2, "if_revision": 0}
  {"ok":true,"revision":2}
call state_get {"key": "k"}
  {"key":"k","value":2,"found":true,"revision":2}
