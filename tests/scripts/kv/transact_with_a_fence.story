# A fence that does not hold stops both branches.

call state_transact {"then": [{"op": "set", "key": "a", "value": 1}], "otherwise": [{"op": "set", "key": "a", "value": 2}], "fence": {"resource_id": "r", "token": 1}}
  {"succeeded":false,"results":[],"revision":0,"reason":"fence: nobody holds lease 'r'"}
call state_get {"key": "a"}
  {"key":"a","value":null,"found":false}
