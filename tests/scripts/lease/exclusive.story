# Two processes that give the same name are told apart where they ask for it.

call lease_acquire {"resource_id": "r", "holder_id": "a", "ttl_seconds": 60, "exclusive": true, "idempotency_key": "k"}
  {"acquired":true,"resource_id":"r","holder":"a","expires_at":1700000060.0,"reason":null,"fencing_token":1}
call lease_acquire {"resource_id": "r", "holder_id": "a", "ttl_seconds": 60, "exclusive": true}
  {"acquired":false,"resource_id":"r","holder":"a","expires_at":null,"reason":"Held by 'a'","fencing_token":null,"held_until":1700000060.0}
call lease_acquire {"resource_id": "r", "holder_id": "a", "ttl_seconds": 60, "exclusive": true, "idempotency_key": "k"}
  {"acquired":true,"resource_id":"r","holder":"a","expires_at":1700000060.0,"reason":null,"fencing_token":1}
