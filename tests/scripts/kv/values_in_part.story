# values says how much of each value an answer shows. What is not shown whole is
# described by its beginning and its length.

call state_set {"key": "large", "value": "abcde"*100}
  {"ok":true,"revision":1}
call state_set {"key": "small", "value": [1, 2]}
  {"ok":true,"revision":2}
call state_get {"key": "large", "values": "head"}
  {"key":"large","value":{"head":"\"abcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcde","bytes":502},"found":true,"revision":1}
call state_get {"key": "large", "values": "none"}
  {"key":"large","value":{"bytes":502},"found":true,"revision":1}
call state_get {"key": "small", "values": "head"}
  {"key":"small","value":[1,2],"found":true,"revision":2}
call state_list {"values": "head"}
  {"keys":["large","small"],"entries":[{"key":"large","value":{"head":"\"abcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcde","bytes":502},"revision":1},{"key":"small","value":[1,2],"revision":2}]}
call state_list {"values": "full", "limit": 1, "cursor": "large"}
  {"keys":["small"],"entries":[{"key":"small","value":[1,2],"revision":2}]}
call state_list {"values": "none"}
  {"keys":["large","small"]}
call state_wait {"prefix": "", "after_revision": 0, "timeout_seconds": 0, "values": "head"}
  {"changed":true,"events":[{"id":1,"key":"large","new_value":{"head":"\"abcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcde","bytes":502},"previous_value":null,"agent_id":null,"written_at":1700000000.0,"action":"state_set","revision":1,"chain":"166c8b02dc251fd449dd077aa2c2571711c0172509a80a0f84dc8e7cce0b0607"},{"id":2,"key":"small","new_value":[1,2],"previous_value":null,"agent_id":null,"written_at":1700000000.0,"action":"state_set","revision":2,"chain":"c39f27867b745cecc0aea2b94d340c9bf40df239a5100b05a39316bb21e1d34a"}],"revision":2}
call history_log {"n": 1, "values": "none"}
  {"entries":[{"id":2,"key":"small","new_value":{"bytes":5},"previous_value":null,"agent_id":null,"written_at":1700000000.0,"action":"state_set","revision":2,"chain":"c39f27867b745cecc0aea2b94d340c9bf40df239a5100b05a39316bb21e1d34a"}],"total":1,"next_before_id":2,"remaining":1}
call state_list {"values": "some"}
  error invalid_argument: values must be one of none, head, full, got 'some'; did you mean 'none'?

# A page says how many rows come after it.
call state_set {"key": "third", "value": 3}
  {"ok":true,"revision":3}
call state_list {"limit": 1}
  {"keys":["large"],"next_cursor":"large","remaining":2}
call state_list {"limit": 1, "cursor": "large"}
  {"keys":["small"],"next_cursor":"small","remaining":1}
call state_list {"limit": 1, "cursor": "small"}
  {"keys":["third"]}
