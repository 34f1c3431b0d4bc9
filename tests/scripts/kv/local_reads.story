# A local read gives this node's own state, which may be older, but no older than
# what a linearizable read on the node has given before.

call state_set {"key": "k", "value": 1}
  {"ok":true,"revision":1}
call state_get {"key": "k"}
  {"key":"k","value":1,"found":true,"revision":1}
call state_get {"key": "k", "consistency": "local"}
  {"key":"k","value":1,"found":true,"revision":1,"age_seconds":"…"}
call state_list {"consistency": "local"}
  {"keys":["k"],"age_seconds":"…"}
