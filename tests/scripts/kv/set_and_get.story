# A value is read back, with the revision that set it.

call state_set {"key": "k", "value": {"b": 1, "a": [true, null, "ü✓"]}}
  {"ok":true,"revision":1}
call state_get {"key": "k"}
  {"key":"k","value":{"b":1,"a":[true,null,"ü✓"]},"found":true,"revision":1}
