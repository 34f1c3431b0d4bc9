# An error names the argument, what it must be and what it is. Nothing changes.

call state_set {"key": "k"}
  error invalid_argument: value is required
call state_set {"value": 1}
  error invalid_argument: key is required
call state_set {"key": 5, "value": 1}
  error invalid_argument: key must be a string, got the number 5
call state_set {"key": null, "value": 1}
  error invalid_argument: key is required
call state_set {"key": "k", "value": 1, "ttl_seconds": 0}
  error invalid_argument: ttl_seconds must be >= 1, got 0
call state_set {"key": "k", "value": 1, "ttl_seconds": -3}
  error invalid_argument: ttl_seconds must be >= 1, got -3
call state_set {"key": "k", "value": 1, "ttl_seconds": 1.5}
  error invalid_argument: ttl_seconds must be a whole number, got the number 1.5
call state_set {"key": "k", "value": 1, "ttl_seconds": "soon"}
  error invalid_argument: ttl_seconds must be a whole number, got the string 'soon'
call state_set {"key": "k", "value": 1, "ttl_seconds": true}
  error invalid_argument: ttl_seconds must be a whole number, got true
call state_set {"key": "k", "value": 1, "ttl_seconds": 9999999999999}
  error invalid_argument: ttl_seconds must be <= 3162240000, got 9999999999999
call state_set {"key": "k", "value": 1, "ttl_seconds": 99999999999999999999}
  error invalid_argument: ttl_seconds must be from -9223372036854775808 to 9223372036854775807, got the number 99999999999999999999
call state_set {"key": "k", "value": 1, "if_revision": -1}
  error invalid_argument: if_revision must be >= 0, got -1
call state_set {"key": "k", "value": 1, "agent_id": ""}
  error invalid_argument: agent_id must not be empty
call state_set {"key": "k", "value": 1, "fence": "r"}
  error invalid_argument: fence must be an object, got the string 'r'
call state_set {"key": "k", "value": 1, "fence": {"resource_id": "r"}}
  error invalid_argument: fence.token is required
call state_set {"key": "k", "value": 1, "fence": {"resource_id": "r", "token": 1, "holder": "a"}}
  error invalid_argument: unknown member 'holder' in fence; it takes resource_id, token
call state_get {"key": "k", "consistency": "eventual"}
  error invalid_argument: consistency must be one of linearizable, local, got 'eventual'
call state_list {"limit": 0}
  error invalid_argument: limit must be >= 1, got 0
call state_list {"include_values": "yes"}
  error invalid_argument: include_values must be true or false, got the string 'yes'
call state_list {}
  {"keys":[]}
