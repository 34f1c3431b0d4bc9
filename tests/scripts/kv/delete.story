# Deleting an absent key does no harm, and the reply says so.

call state_set {"key": "k", "value": 1}
  {"ok":true,"revision":1}
call state_delete {"key": "k"}
  {"ok":true,"revision":2}
call state_delete {"key": "k"}
  {"ok":false,"revision":0}
call state_get {"key": "k"}
  {"key":"k","value":null,"found":false}
