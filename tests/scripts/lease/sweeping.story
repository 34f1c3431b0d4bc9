# The sweep removes a lease that has ended and writes it into the history.

call lease_acquire {"resource_id": "r", "holder_id": "a", "ttl_seconds": 1}
  {"acquired":true,"resource_id":"r","holder":"a","expires_at":1700000001.0,"reason":null,"fencing_token":1}
advance 1s
sweep
  removed 1
call history_log {"n": 1}
  {"entries":[{"id":2,"key":"lease:r","new_value":null,"previous_value":{"holder":"a","fencing_token":1,"expires_at":1700000001.000},"agent_id":null,"written_at":1700000001.0,"action":"lease_expire","revision":2,"chain":"db7093bc5dfd324e9fabfd9f7ba2f4beb41dc13c01a0f17702112775e2d065cb"}],"total":1,"next_before_id":2,"remaining":1}
