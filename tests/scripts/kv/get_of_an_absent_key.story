# A key that does not exist is no error.

call state_get {"key": "absent"}
  {"key":"absent","value":null,"found":false}
