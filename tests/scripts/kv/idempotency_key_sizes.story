# Idempotency keys have 1 to 128 bytes.

call state_set {"key": "k", "value": 1, "idempotency_key": ""}
  error invalid_argument: idempotency_key must not be empty
call state_set {"key": "k", "value": 1, "idempotency_key": "i"*128}
  {"ok":true,"revision":1}
call state_set {"key": "k", "value": 1, "idempotency_key": "i"*129}
  error too_large: idempotency_key takes up to 128 bytes, got 129
