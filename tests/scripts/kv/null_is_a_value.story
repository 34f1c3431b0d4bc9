# A key whose value is null exists.

call state_set {"key": "k", "value": null}
  {"ok":true,"revision":1}
call state_get {"key": "k"}
  {"key":"k","value":null,"found":true,"revision":1}
