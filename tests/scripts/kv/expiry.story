# A key is gone the moment its time is over, and setting it anew without a ttl
# keeps it for good.

call state_set {"key": "k", "value": 1, "ttl_seconds": 2}
  {"ok":true,"revision":1}
call state_get {"key": "k"}
  {"key":"k","value":1,"found":true,"revision":1,"expires_at":1700000002.0}
advance 1.999s
call state_get {"key": "k"}
  {"key":"k","value":1,"found":true,"revision":1,"expires_at":1700000002.0}
advance 0.001s
call state_get {"key": "k"}
  {"key":"k","value":null,"found":false}
call state_list {}
  {"keys":[]}
call state_set {"key": "k", "value": 2}
  {"ok":true,"revision":2}
advance 3600s
call state_get {"key": "k"}
  {"key":"k","value":2,"found":true,"revision":2}
