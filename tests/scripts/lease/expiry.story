# A lease ends by itself; the next holder gets a higher token.

call lease_acquire {"resource_id": "r", "holder_id": "a", "ttl_seconds": 2}
  {"acquired":true,"resource_id":"r","holder":"a","expires_at":1700000002.0,"reason":null,"fencing_token":1}
advance 1.999s
call lease_acquire {"resource_id": "r", "holder_id": "b", "ttl_seconds": 2}
  {"acquired":false,"resource_id":"r","holder":"a","expires_at":null,"reason":"Held by 'a'","fencing_token":null,"held_until":1700000002.0}
advance 0.001s
call lease_acquire {"resource_id": "r", "holder_id": "b", "ttl_seconds": 2}
  {"acquired":true,"resource_id":"r","holder":"b","expires_at":1700000004.0,"reason":null,"fencing_token":2}
call lease_release {"resource_id": "r", "holder_id": "a"}
  {"released":false,"resource_id":"r"}
