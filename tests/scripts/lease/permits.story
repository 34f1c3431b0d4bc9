# With permits, several hold a lease at a time, each with a token of its own.

call lease_acquire {"resource_id": "gpu", "holder_id": "a", "ttl_seconds": 60, "permits": 2}
call lease_acquire {"resource_id": "gpu", "holder_id": "b", "ttl_seconds": 30, "permits": 2}
call lease_acquire {"resource_id": "gpu", "holder_id": "c", "ttl_seconds": 30, "permits": 2}
call lease_acquire {"resource_id": "gpu", "holder_id": "c", "ttl_seconds": 30}
call lease_list {}
call state_set {"key": "k", "value": 1, "fence": {"resource_id": "gpu", "token": 1}}
call state_set {"key": "k", "value": 1, "fence": {"resource_id": "gpu", "token": 9}}
call lease_renew {"resource_id": "gpu", "holder_id": "a", "ttl_seconds": 90, "fencing_token": 1}
call lease_renew {"resource_id": "gpu", "holder_id": "c", "ttl_seconds": 90}
call lease_release {"resource_id": "gpu", "holder_id": "b", "fencing_token": 2}
call lease_acquire {"resource_id": "gpu", "holder_id": "c", "ttl_seconds": 30, "permits": 5}
call lease_acquire {"resource_id": "gpu", "holder_id": "d", "ttl_seconds": 30, "permits": 5}
call lease_acquire {"resource_id": "gpu", "holder_id": "a", "ttl_seconds": 30, "permits": 0}
call lease_acquire {"resource_id": "gpu", "holder_id": "a", "ttl_seconds": 30, "permits": 101}
