# Setting a key again replaces its value and raises its revision.

call state_set {"key": "k", "value": 1}
  {"ok":true,"revision":1}
call state_set {"key": "k", "value": 2}
  {"ok":true,"revision":2}
call state_get {"key": "k"}
  {"key":"k","value":2,"found":true,"revision":2}
