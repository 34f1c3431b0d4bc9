# All operations are carried out if all comparisons hold.

let a = call state_set {"key": "a", "value": 10}
  {"ok":true,"revision":1}
call state_transact {"compare": [{"key": "a", "revision": $a.revision}, {"key": "b", "exists": false}, {"key": "a", "value": 10}], "then": [{"op": "delete", "key": "a"}, {"op": "set", "key": "b", "value": 10, "ttl_seconds": 60}, {"op": "get", "key": "b"}, {"op": "get", "key": "a"}], "otherwise": [{"op": "get", "key": "a"}]}
  {"succeeded":true,"results":[{"op":"delete","key":"a","ok":true},{"op":"set","key":"b","ok":true,"revision":3},{"op":"get","key":"b","found":true,"value":10,"revision":3},{"op":"get","key":"a","found":false,"value":null,"revision":0}],"revision":3}
call state_list {"include_values": true}
  {"keys":["b"],"entries":[{"key":"b","value":10,"revision":3,"expires_at":1700000060.0}]}
call history_log {"n": 3}
  {"entries":[{"id":3,"key":"b","new_value":10,"previous_value":null,"agent_id":null,"written_at":1700000000.0,"action":"state_set","revision":3,"chain":"f189230cdaaf77c22cf8d57b7d5481c45e41abe613d242bb8da130ccc8b56077"},{"id":2,"key":"a","new_value":null,"previous_value":10,"agent_id":null,"written_at":1700000000.0,"action":"state_delete","revision":2,"chain":"e672c45ff461e2456b6952647ebcc417c449414d86e84ff6b6f742aa7a68315d"},{"id":1,"key":"a","new_value":10,"previous_value":null,"agent_id":null,"written_at":1700000000.0,"action":"state_set","revision":1,"chain":"089ec0271a80d2deb885d102af0434a85386aa62091bc2a4f86b719ac3ae55d7"}],"total":3}
