# A page says where the next one begins; the last one does not.

call state_set {"key": "a", "value": 1}
  {"ok":true,"revision":1}
call state_set {"key": "b", "value": 2}
  {"ok":true,"revision":2}
call state_set {"key": "c", "value": 3}
  {"ok":true,"revision":3}
let page = call state_list {"limit": 2}
  {"keys":["a","b"],"next_cursor":"b","remaining":1}
let page = call state_list {"limit": 2, "cursor": "$page.next_cursor"}
  {"keys":["c"]}
call state_list {"limit": 3}
  {"keys":["a","b","c"]}
