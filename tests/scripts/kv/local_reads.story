# A local read gives this node's own state, possibly older; no older than what a
# linearizable read on it has given before.

call state_set {"key": "k", "value": 1}
  {"ok":true,"revision":1}
call state_get {"key": "k"}
  {"key":"k","value":1,"found":true,"revision":1}
call state_get {"key": "k", "consistency": "local"}
  {"key":"k","value":1,"found":true,"revision":1,"age_seconds":"…"}
call state_list {"consistency": "local"}
  {"keys":["k"],"age_seconds":"…"}
