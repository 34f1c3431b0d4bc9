# Keys come in byte order; a prefix is literal and case-sensitive.

call state_set {"key": "b", "value": 1}
  {"ok":true,"revision":1}
call state_set {"key": "a_1", "value": 1}
  {"ok":true,"revision":2}
call state_set {"key": "a%1", "value": 1}
  {"ok":true,"revision":3}
call state_set {"key": "aX1", "value": 1}
  {"ok":true,"revision":4}
call state_set {"key": "A", "value": 1}
  {"ok":true,"revision":5}
call state_set {"key": "ä", "value": 1}
  {"ok":true,"revision":6}
call state_list {}
  {"keys":["A","a%1","aX1","a_1","b","ä"]}
call state_list {"prefix": "a_"}
  {"keys":["a_1"]}
call state_list {"prefix": "a"}
  {"keys":["a%1","aX1","a_1"]}
call state_list {"prefix": "zzz"}
  {"keys":[]}
call state_list {"prefix": ""}
  {"keys":["A","a%1","aX1","a_1","b","ä"]}
