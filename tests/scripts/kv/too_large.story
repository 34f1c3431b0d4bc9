# Keys go up to 1024 bytes, values up to 1 MiB of JSON.

call state_set {"key": "k"*1024, "value": 1}
  {"ok":true,"revision":1}
call state_set {"key": "k"*1025, "value": 1}
  error too_large: key takes up to 1024 bytes, got 1025
call state_set {"key": "k", "value": "v"*1048574}
  {"ok":true,"revision":2}
call state_set {"key": "k", "value": "v"*1048575}
  error too_large: value takes up to 1048576 bytes of JSON, got 1048577
call state_set {"key": "ü"*513, "value": 1}
  error too_large: key takes up to 1024 bytes, got 1026
