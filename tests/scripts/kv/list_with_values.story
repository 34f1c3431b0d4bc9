# With include_values the values come along.

call state_set {"key": "a", "value": {"z": 1, "y": 2}}
  {"ok":true,"revision":1}
call state_set {"key": "b", "value": 2, "ttl_seconds": 60}
  {"ok":true,"revision":2}
call state_list {"include_values": true}
  {"keys":["a","b"],"entries":[{"key":"a","value":{"z":1,"y":2},"revision":1},{"key":"b","value":2,"revision":2,"expires_at":1700000060.0}]}
call state_list {"include_values": true, "limit": 1}
  {"keys":["a"],"entries":[{"key":"a","value":{"z":1,"y":2},"revision":1}],"next_cursor":"a","remaining":1}
