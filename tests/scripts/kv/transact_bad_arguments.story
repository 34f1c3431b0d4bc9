# A transaction that is malformed anywhere changes nothing.

call state_transact {"compare": [{"key": "a"}]}
  error invalid_argument: compare[0] needs exactly one of revision, value, exists
call state_transact {"compare": [{"key": "a", "exists": true, "revision": 1}]}
  error invalid_argument: compare[0] needs exactly one of revision, value, exists
call state_transact {"compare": [{"exists": true}]}
  error invalid_argument: compare[0].key is required
call state_transact {"then": [{"op": "set", "key": "a", "value": 1}, {"op": "set", "key": "b"}]}
  error invalid_argument: then[1].value is required
call state_transact {"then": [{"op": "increment", "key": "a"}]}
  error invalid_argument: then[0].op must be one of set, delete, get, got 'increment'
call state_transact {"then": [{"op": "delete", "key": "a", "value": 1}]}
  error invalid_argument: then[0].op must be 'set' where there is a value or ttl_seconds
call state_transact {"then": [{"op": "get", "key": "a", "default": 0}]}
  error invalid_argument: unknown member 'default' in then[0]; it takes op, key, value, ttl_seconds
call state_transact {"then": {"op": "get", "key": "a"}}
  error invalid_argument: then must be a list of objects, got an object
call state_transact {"then": ["get"]}
  error invalid_argument: then[0] must be an object, got the string 'get'
call state_list {}
  {"keys":[]}
