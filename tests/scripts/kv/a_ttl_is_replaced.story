# Setting a key again also replaces its time to live.

call state_set {"key": "k", "value": 1, "ttl_seconds": 1}
  {"ok":true,"revision":1}
call state_set {"key": "k", "value": 2, "ttl_seconds": 10}
  {"ok":true,"revision":2}
advance 5s
call state_get {"key": "k"}
  {"key":"k","value":2,"found":true,"revision":2,"expires_at":1700000010.0}
