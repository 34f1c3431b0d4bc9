# A repeated acquire with the same idempotency key gives the first answer, even
# after the lease was lost.

call lease_acquire {"resource_id": "r", "holder_id": "a", "ttl_seconds": 1, "idempotency_key": "k"}
  {"acquired":true,"resource_id":"r","holder":"a","expires_at":1700000001.0,"reason":null,"fencing_token":1}
advance 2s
call lease_acquire {"resource_id": "r", "holder_id": "b", "ttl_seconds": 60}
  {"acquired":true,"resource_id":"r","holder":"b","expires_at":1700000062.0,"reason":null,"fencing_token":2}
call lease_acquire {"resource_id": "r", "holder_id": "a", "ttl_seconds": 1, "idempotency_key": "k"}
  {"acquired":true,"resource_id":"r","holder":"a","expires_at":1700000001.0,"reason":null,"fencing_token":1}
