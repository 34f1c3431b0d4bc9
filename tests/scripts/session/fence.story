# With a fence a session is saved only while the lease is held.

let lease = call lease_acquire {"resource_id": "r", "holder_id": "a", "ttl_seconds": 10}
  {"acquired":true,"resource_id":"r","holder":"a","expires_at":1700000010.0,"reason":null,"fencing_token":1}
call session_save {"session_id": "s", "context": {"a": 1}, "fence": {"resource_id": "r", "token": $lease.fencing_token}}
  {"ok":true,"session_id":"s","revision":2}
advance 10s
call session_save {"session_id": "s", "context": {"a": 2}, "fence": {"resource_id": "r", "token": $lease.fencing_token}}
  {"ok":false,"session_id":"s","revision":2,"reason":"fence: nobody holds lease 'r'"}
call session_restore {"session_id": "s"}
  {"found":true,"session_id":"s","context":{"a":1},"revision":2,"saved_at":1700000000.0,"updated_at":1700000000.0}
