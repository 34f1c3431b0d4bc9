# A command from before a reset is not carried out again after it.

call state_set {"key": "k", "value": 1, "idempotency_key": "once"}
  {"ok":true,"revision":1}
call sidecar_reset {"confirm": true, "idempotency_key": "wipe"}
  {"ok":true,"cleared":2}
call state_set {"key": "k", "value": 1, "idempotency_key": "once"}
  {"ok":true,"revision":1}
call state_set {"key": "k", "value": 2}
  {"ok":true,"revision":3}
call sidecar_reset {"confirm": true, "idempotency_key": "wipe"}
  {"ok":true,"cleared":2}
call state_get {"key": "k"}
  {"key":"k","value":2,"found":true,"revision":3}
