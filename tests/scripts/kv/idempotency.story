# The same idempotency key and arguments give the first answer again; other
# arguments are refused.

call state_set {"key": "k", "value": 1, "idempotency_key": "once"}
  {"ok":true,"revision":1}
call state_set {"key": "k", "value": 2}
  {"ok":true,"revision":2}
call state_set {"key": "k", "value": 1, "idempotency_key": "once"}
  {"ok":true,"revision":1}
call state_set {"value": 1, "idempotency_key": "once", "key": "k", "ttl_seconds": null}
  {"ok":true,"revision":1}
call state_set {"key": "k", "value": 3, "idempotency_key": "once"}
  error invalid_argument: idempotency_key: 'once' was used before with other arguments
call state_delete {"key": "k", "idempotency_key": "once"}
  error invalid_argument: idempotency_key: 'once' was used before with other arguments
call state_get {"key": "k"}
  {"key":"k","value":2,"found":true,"revision":2}
