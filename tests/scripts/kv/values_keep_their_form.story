# Numbers of any length survive, and so does the order of members, even of names
# that a parser might sort.

call state_set {"key": "n", "value": [123456789012345678901234567890, 1e400, 0.1000000000000000055511151231257827, -0, 1.0]}
  {"ok":true,"revision":1}
call state_get {"key": "n"}
  {"key":"n","value":[123456789012345678901234567890,1e+400,0.1000000000000000055511151231257827,-0,1.0],"found":true,"revision":1}
call state_set {"key": "o", "value": {"z": 1, "a": {"y": 2, "b": 3}}}
  {"ok":true,"revision":2}
call state_get {"key": "o"}
  {"key":"o","value":{"z":1,"a":{"y":2,"b":3}},"found":true,"revision":2}
call state_set {"key": "s", "value": "line\nbreak\t\"quoted\" \\ \u0000 \u007f 😀"}
  {"ok":true,"revision":3}
call state_get {"key": "s"}
  {"key":"s","value":"line\nbreak\t\"quoted\" \\ \u0000  😀","found":true,"revision":3}
