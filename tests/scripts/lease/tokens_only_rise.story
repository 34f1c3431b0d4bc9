# Tokens of one resource rise across releases, expiry and a reset.

call lease_acquire {"resource_id": "r", "holder_id": "a", "ttl_seconds": 1}
  {"acquired":true,"resource_id":"r","holder":"a","expires_at":1700000001.0,"reason":null,"fencing_token":1}
call lease_release {"resource_id": "r", "holder_id": "a"}
  {"released":true,"resource_id":"r"}
call lease_acquire {"resource_id": "r", "holder_id": "a", "ttl_seconds": 1}
  {"acquired":true,"resource_id":"r","holder":"a","expires_at":1700000001.0,"reason":null,"fencing_token":3}
advance 1s
sweep
  removed 1
call lease_acquire {"resource_id": "r", "holder_id": "a", "ttl_seconds": 1}
  {"acquired":true,"resource_id":"r","holder":"a","expires_at":1700000002.0,"reason":null,"fencing_token":5}
call sidecar_reset {"confirm": true}
  {"ok":true,"cleared":1}
call lease_acquire {"resource_id": "r", "holder_id": "a", "ttl_seconds": 1}
  {"acquired":true,"resource_id":"r","holder":"a","expires_at":1700000002.0,"reason":null,"fencing_token":7}
