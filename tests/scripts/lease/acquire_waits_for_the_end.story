# A waiting call gets the lease when the lease expires, even if nothing else happens.

call lease_acquire {"resource_id": "r", "holder_id": "a", "ttl_seconds": 600}
  {"acquired":true,"resource_id":"r","holder":"a","expires_at":1700000600.0,"reason":null,"fencing_token":1}
start waiting call lease_acquire {"resource_id": "r", "holder_id": "b", "ttl_seconds": 60, "wait_seconds": 10}
advance 600s
join waiting
  {"acquired":true,"resource_id":"r","holder":"b","expires_at":1700000660.0,"reason":null,"fencing_token":2}
