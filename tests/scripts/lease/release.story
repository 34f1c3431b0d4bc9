# Only the holder can release; afterwards the lease is free at once.

call lease_acquire {"resource_id": "r", "holder_id": "a", "ttl_seconds": 60}
  {"acquired":true,"resource_id":"r","holder":"a","expires_at":1700000060.0,"reason":null,"fencing_token":1}
call lease_release {"resource_id": "r", "holder_id": "b"}
  {"released":false,"resource_id":"r"}
call lease_release {"resource_id": "r", "holder_id": "a"}
  {"released":true,"resource_id":"r"}
call lease_release {"resource_id": "r", "holder_id": "a"}
  {"released":false,"resource_id":"r"}
call lease_acquire {"resource_id": "r", "holder_id": "b", "ttl_seconds": 60}
  {"acquired":true,"resource_id":"r","holder":"b","expires_at":1700000060.0,"reason":null,"fencing_token":3}
