# Unknown arguments are refused by name, with the nearest known one.

call state_set {"key": "k", "value": 1, "ttl": 5}
  error invalid_argument: state_set has no argument 'ttl'; did you mean 'ttl_seconds'?
call state_set {"key": "k", "value": 1, "agentId": "a"}
  error invalid_argument: state_set has no argument 'agentId'; did you mean 'agent_id'?
call state_get {"keys": ["k"]}
  error invalid_argument: state_get has no argument 'keys'; did you mean 'key'?
call state_get {"key": "k", "colour": "red"}
  error invalid_argument: state_get has no argument 'colour'; it takes key, values, consistency
call sidecar_health {"verbose": true}
  error invalid_argument: sidecar_health has no argument 'verbose' and takes none
