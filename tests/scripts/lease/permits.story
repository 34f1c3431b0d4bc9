# With permits, several hold a lease at a time, each with a token of its own.

call lease_acquire {"resource_id": "gpu", "holder_id": "a", "ttl_seconds": 60, "permits": 2}
  {"acquired":true,"resource_id":"gpu","holder":"a","expires_at":1700000060.0,"reason":null,"fencing_token":1}
call lease_acquire {"resource_id": "gpu", "holder_id": "b", "ttl_seconds": 30, "permits": 2}
  {"acquired":true,"resource_id":"gpu","holder":"b","expires_at":1700000030.0,"reason":null,"fencing_token":2}
call lease_acquire {"resource_id": "gpu", "holder_id": "c", "ttl_seconds": 30, "permits": 2}
  {"acquired":false,"resource_id":"gpu","holder":"b","expires_at":null,"reason":"Held by 'b', 'a'","fencing_token":null,"held_until":1700000030.0}
call lease_acquire {"resource_id": "gpu", "holder_id": "c", "ttl_seconds": 30}
  {"acquired":false,"resource_id":"gpu","holder":"b","expires_at":null,"reason":"Held by 'b', 'a'","fencing_token":null,"held_until":1700000030.0}
call lease_list {}
  {"leases":[{"resource_id":"gpu","holder":"a","fencing_token":1,"expires_at":1700000060.0,"permits":2,"others":[{"holder":"b","fencing_token":2,"expires_at":1700000030.0}]}]}
call state_set {"key": "k", "value": 1, "fence": {"resource_id": "gpu", "token": 1}}
  {"ok":true,"revision":3}
call state_set {"key": "k", "value": 1, "fence": {"resource_id": "gpu", "token": 9}}
  {"ok":false,"revision":3,"reason":"fence: lease 'gpu' is held with tokens 1, 2, not 9"}
call lease_renew {"resource_id": "gpu", "holder_id": "a", "ttl_seconds": 90, "fencing_token": 1}
  {"renewed":true,"resource_id":"gpu","expires_at":1700000090.0,"fencing_token":1}
call lease_renew {"resource_id": "gpu", "holder_id": "c", "ttl_seconds": 90}
  {"renewed":false,"resource_id":"gpu","expires_at":null,"fencing_token":null,"reason":"Held by 'a' with fencing_token 1 until 1700000090.000"}
call lease_release {"resource_id": "gpu", "holder_id": "b", "fencing_token": 2}
  {"released":true,"resource_id":"gpu"}
call lease_acquire {"resource_id": "gpu", "holder_id": "c", "ttl_seconds": 30, "permits": 5}
  {"acquired":true,"resource_id":"gpu","holder":"c","expires_at":1700000030.0,"reason":null,"fencing_token":6}
call lease_acquire {"resource_id": "gpu", "holder_id": "d", "ttl_seconds": 30, "permits": 5}
  {"acquired":false,"resource_id":"gpu","holder":"c","expires_at":null,"reason":"Held by 'c', 'a'","fencing_token":null,"held_until":1700000030.0}
call lease_acquire {"resource_id": "gpu", "holder_id": "a", "ttl_seconds": 30, "permits": 0}
  error invalid_argument: permits must be >= 1, got 0
call lease_acquire {"resource_id": "gpu", "holder_id": "a", "ttl_seconds": 30, "permits": 101}
  error invalid_argument: permits must be <= 100, got 101
