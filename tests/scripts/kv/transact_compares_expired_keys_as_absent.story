# An expired key does not exist for comparisons.

call state_set {"key": "a", "value": 1, "ttl_seconds": 1}
  {"ok":true,"revision":1}
advance 1s
call state_transact {"compare": [{"key": "a", "exists": true}], "then": [{"op": "set", "key": "x", "value": 1}]}
  {"succeeded":false,"results":[],"revision":1}
call state_transact {"compare": [{"key": "a", "revision": 0}], "then": [{"op": "set", "key": "x", "value": 1}]}
  {"succeeded":true,"results":[{"op":"set","key":"x","ok":true,"revision":2}],"revision":2}
