# A fenced write happens only while the lease is held with that token.

let lease = call lease_acquire {"resource_id": "r", "holder_id": "a", "ttl_seconds": 10}
  {"acquired":true,"resource_id":"r","holder":"a","expires_at":1700000010.0,"reason":null,"fencing_token":1}
call state_set {"key": "k", "value": 1, "fence": {"resource_id": "r", "token": $lease.fencing_token}}
  {"ok":true,"revision":2}
call state_set {"key": "k", "value": 2, "fence": {"resource_id": "r", "token": 99}}
  {"ok":false,"revision":2,"reason":"fence: lease 'r' is held with token 1, not 99"}
call state_set {"key": "k", "value": 2, "fence": {"resource_id": "other", "token": $lease.fencing_token}}
  {"ok":false,"revision":2,"reason":"fence: nobody holds lease 'other'"}
advance 10s
call state_set {"key": "k", "value": 3, "fence": {"resource_id": "r", "token": $lease.fencing_token}}
  {"ok":false,"revision":2,"reason":"fence: nobody holds lease 'r'"}
call state_delete {"key": "k", "fence": {"resource_id": "r", "token": $lease.fencing_token}}
  {"ok":false,"revision":2,"reason":"fence: nobody holds lease 'r'"}
call state_get {"key": "k"}
  {"key":"k","value":1,"found":true,"revision":2}
