# Times to live are 1 or more; names are not empty.

call lease_acquire {"resource_id": "r", "holder_id": "a"}
  error invalid_argument: ttl_seconds is required
call lease_acquire {"resource_id": "r", "holder_id": "a", "ttl_seconds": 0}
  error invalid_argument: ttl_seconds must be >= 1, got 0
call lease_acquire {"resource_id": "", "holder_id": "a", "ttl_seconds": 1}
  error invalid_argument: resource_id must not be empty
call lease_acquire {"resource_id": "r", "holder_id": "", "ttl_seconds": 1}
  error invalid_argument: holder_id must not be empty
call lease_acquire {"resource_id": "r", "holder_id": "a", "ttl_seconds": 9223372036854775807}
  error invalid_argument: ttl_seconds must be <= 3162240000, got 9223372036854775807
call lease_renew {"resource_id": "r", "holder_id": "a", "ttl_seconds": -1}
  error invalid_argument: ttl_seconds must be >= 1, got -1
call lease_release {"resource_id": "r"}
  error invalid_argument: holder_id is required
call lease_release {"resource_id": "r", "holder": "a"}
  error invalid_argument: lease_release has no argument 'holder'; did you mean 'holder_id'?
call lease_list {}
  {"leases":[]}
