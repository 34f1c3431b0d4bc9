# The list has the leases that are held, in byte order, without those that have
# ended.

call lease_acquire {"resource_id": "b", "holder_id": "x", "ttl_seconds": 60}
  {"acquired":true,"resource_id":"b","holder":"x","expires_at":1700000060.0,"reason":null,"fencing_token":1}
call lease_acquire {"resource_id": "a:1", "holder_id": "y", "ttl_seconds": 60}
  {"acquired":true,"resource_id":"a:1","holder":"y","expires_at":1700000060.0,"reason":null,"fencing_token":2}
call lease_acquire {"resource_id": "a:2", "holder_id": "z", "ttl_seconds": 1}
  {"acquired":true,"resource_id":"a:2","holder":"z","expires_at":1700000001.0,"reason":null,"fencing_token":3}
call lease_list {}
  {"leases":[{"resource_id":"a:1","holder":"y","fencing_token":2,"expires_at":1700000060.0},{"resource_id":"a:2","holder":"z","fencing_token":3,"expires_at":1700000001.0},{"resource_id":"b","holder":"x","fencing_token":1,"expires_at":1700000060.0}]}
advance 1s
call lease_list {"prefix": "a:"}
  {"leases":[{"resource_id":"a:1","holder":"y","fencing_token":2,"expires_at":1700000060.0}]}
let page = call lease_list {"limit": 1}
  {"leases":[{"resource_id":"a:1","holder":"y","fencing_token":2,"expires_at":1700000060.0}],"next_cursor":"a:1","remaining":1}
call lease_list {"limit": 1, "cursor": "$page.next_cursor"}
  {"leases":[{"resource_id":"b","holder":"x","fencing_token":1,"expires_at":1700000060.0}]}
call lease_list {"consistency": "local"}
  {"leases":[{"resource_id":"a:1","holder":"y","fencing_token":2,"expires_at":1700000060.0},{"resource_id":"b","holder":"x","fencing_token":1,"expires_at":1700000060.0}],"age_seconds":"…"}
