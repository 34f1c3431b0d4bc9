# Keys may be empty, as in the reference.

call state_set {"key": "", "value": 1}
  {"ok":true,"revision":1}
call state_get {"key": ""}
  {"key":"","value":1,"found":true,"revision":1}
call state_list {}
  {"keys":[""]}
