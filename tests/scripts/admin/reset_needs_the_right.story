# Only an administrator may reset.

call state_set {"key": "k", "value": 1}
  {"ok":true,"revision":1}
as guest
call sidecar_reset {"confirm": true}
  error forbidden: sidecar_reset needs the right to administer: the administrator's token, or a call from the server's own machine where no token is configured
call state_get {"key": "k"}
  {"key":"k","value":1,"found":true,"revision":1}
as admin
call sidecar_reset {"confirm": true}
  {"ok":true,"cleared":2}
