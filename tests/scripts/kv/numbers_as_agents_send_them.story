# A string of digits is a number, and so is a whole float. null is the same as
# leaving the argument out.

call state_set {"key": "a", "value": 1, "ttl_seconds": "10"}
  {"ok":true,"revision":1}
call state_set {"key": "b", "value": 1, "ttl_seconds": 10.0}
  {"ok":true,"revision":2}
call state_set {"key": "c", "value": 1, "ttl_seconds": null, "agent_id": null, "if_revision": null, "fence": null}
  {"ok":true,"revision":3}
call state_list {"include_values": true, "limit": "10", "prefix": null}
  {"keys":["a","b","c"],"entries":[{"key":"a","value":1,"revision":1,"expires_at":1700000010.0},{"key":"b","value":1,"revision":2,"expires_at":1700000010.0},{"key":"c","value":1,"revision":3}]}
