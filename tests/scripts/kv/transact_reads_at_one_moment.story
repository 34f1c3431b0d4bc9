# A transaction of reads alone gives several keys as of one moment.

call state_set {"key": "a", "value": 1}
  {"ok":true,"revision":1}
call state_set {"key": "b", "value": null}
  {"ok":true,"revision":2}
call state_transact {"then": [{"op": "get", "key": "a"}, {"op": "get", "key": "b"}, {"op": "get", "key": "c"}]}
  {"succeeded":true,"results":[{"op":"get","key":"a","found":true,"value":1,"revision":1},{"op":"get","key":"b","found":true,"value":null,"revision":2},{"op":"get","key":"c","found":false,"value":null,"revision":0}],"revision":2}
call state_transact {}
  {"succeeded":true,"results":[],"revision":2}
