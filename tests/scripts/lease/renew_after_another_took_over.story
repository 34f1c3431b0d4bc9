# An old token does not renew a later grant, not even to the same holder.

let first = call lease_acquire {"resource_id": "r", "holder_id": "a", "ttl_seconds": 1}
  {"acquired":true,"resource_id":"r","holder":"a","expires_at":1700000001.0,"reason":null,"fencing_token":1}
advance 1s
let second = call lease_acquire {"resource_id": "r", "holder_id": "a", "ttl_seconds": 60}
  {"acquired":true,"resource_id":"r","holder":"a","expires_at":1700000061.0,"reason":null,"fencing_token":2}
call lease_renew {"resource_id": "r", "holder_id": "a", "ttl_seconds": 60, "fencing_token": $first.fencing_token}
  {"renewed":false,"resource_id":"r","expires_at":null,"fencing_token":null,"reason":"Held by 'a' with fencing_token 2 until 1700000061.000"}
call lease_release {"resource_id": "r", "holder_id": "a", "fencing_token": $first.fencing_token}
  {"released":false,"resource_id":"r"}
call lease_renew {"resource_id": "r", "holder_id": "a", "ttl_seconds": 60, "fencing_token": $second.fencing_token}
  {"renewed":true,"resource_id":"r","expires_at":1700000061.0,"fencing_token":2}
