# The holder can renew its lease until it ends. Nobody else can.

let lease = call lease_acquire {"resource_id": "r", "holder_id": "a", "ttl_seconds": 10}
  {"acquired":true,"resource_id":"r","holder":"a","expires_at":1700000010.0,"reason":null,"fencing_token":1}
advance 5s
call lease_renew {"resource_id": "r", "holder_id": "a", "ttl_seconds": 10}
  {"renewed":true,"resource_id":"r","expires_at":1700000015.0,"fencing_token":1}
call lease_renew {"resource_id": "r", "holder_id": "a", "ttl_seconds": 20, "fencing_token": $lease.fencing_token}
  {"renewed":true,"resource_id":"r","expires_at":1700000025.0,"fencing_token":1}
call lease_renew {"resource_id": "r", "holder_id": "b", "ttl_seconds": 10}
  {"renewed":false,"resource_id":"r","expires_at":null,"fencing_token":null,"reason":"Held by 'a' with fencing_token 1 until 1700000025.000"}
call lease_renew {"resource_id": "r", "holder_id": "a", "ttl_seconds": 10, "fencing_token": 99}
  {"renewed":false,"resource_id":"r","expires_at":null,"fencing_token":null,"reason":"Held by 'a' with fencing_token 1 until 1700000025.000"}
call lease_renew {"resource_id": "none", "holder_id": "a", "ttl_seconds": 10}
  {"renewed":false,"resource_id":"none","expires_at":null,"fencing_token":null,"reason":"Nobody holds it; it was released or has expired"}
advance 20s
call lease_renew {"resource_id": "r", "holder_id": "a", "ttl_seconds": 10}
  {"renewed":false,"resource_id":"r","expires_at":null,"fencing_token":null,"reason":"Nobody holds it; it was released or has expired"}
