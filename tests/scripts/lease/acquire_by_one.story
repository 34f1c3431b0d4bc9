# One holder at a time; the others learn who holds it.

call lease_acquire {"resource_id": "r", "holder_id": "a", "ttl_seconds": 60}
  {"acquired":true,"resource_id":"r","holder":"a","expires_at":1700000060.0,"reason":null,"fencing_token":1}
call lease_acquire {"resource_id": "r", "holder_id": "b", "ttl_seconds": 60}
  {"acquired":false,"resource_id":"r","holder":"a","expires_at":null,"reason":"Held by 'a'","fencing_token":null,"held_until":1700000060.0}
call lease_acquire {"resource_id": "other", "holder_id": "b", "ttl_seconds": 60}
  {"acquired":true,"resource_id":"other","holder":"b","expires_at":1700000060.0,"reason":null,"fencing_token":2}
