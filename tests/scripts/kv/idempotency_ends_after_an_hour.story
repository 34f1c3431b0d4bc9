# An idempotency key is kept for an hour.

call state_set {"key": "k", "value": 1, "idempotency_key": "once"}
  {"ok":true,"revision":1}
advance 3599s
call state_set {"key": "k", "value": 1, "idempotency_key": "once"}
  {"ok":true,"revision":1}
advance 1s
sweep
  removed 1
call state_set {"key": "k", "value": 1, "idempotency_key": "once"}
  {"ok":true,"revision":2}
