# An agent that lost its lease without noticing can no longer write.

let old = call lease_acquire {"resource_id": "r", "holder_id": "a", "ttl_seconds": 5}
  {"acquired":true,"resource_id":"r","holder":"a","expires_at":1700000005.0,"reason":null,"fencing_token":1}
advance 6s
let new = call lease_acquire {"resource_id": "r", "holder_id": "b", "ttl_seconds": 60}
  {"acquired":true,"resource_id":"r","holder":"b","expires_at":1700000066.0,"reason":null,"fencing_token":2}
call state_set {"key": "k", "value": "a", "fence": {"resource_id": "r", "token": $old.fencing_token}}
  {"ok":false,"revision":0,"reason":"fence: lease 'r' is held with token 2, not 1"}
call state_set {"key": "k", "value": "b", "fence": {"resource_id": "r", "token": $new.fencing_token}}
  {"ok":true,"revision":3}
