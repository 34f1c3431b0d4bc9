# If one comparison does not hold, the operations of otherwise are carried out.

call state_set {"key": "a", "value": 1}
  {"ok":true,"revision":1}
call state_transact {"compare": [{"key": "a", "value": 1}, {"key": "a", "value": 2}], "then": [{"op": "set", "key": "a", "value": 3}], "otherwise": [{"op": "get", "key": "a"}, {"op": "delete", "key": "none"}]}
  {"succeeded":false,"results":[{"op":"get","key":"a","found":true,"value":1,"revision":1},{"op":"delete","key":"none","ok":false}],"revision":1}
call state_get {"key": "a"}
  {"key":"a","value":1,"found":true,"revision":1}
