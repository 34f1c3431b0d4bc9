# A call waits for one key or one prefix.

call state_wait {}
  error invalid_argument: state_wait needs exactly one of key and prefix
call state_wait {"key": "a", "prefix": "b"}
  error invalid_argument: state_wait needs exactly one of key and prefix
call state_wait {"key": "a", "timeout_seconds": -1}
  error invalid_argument: timeout_seconds must be >= 0, got -1
call state_wait {"key": "a", "after_revision": "last"}
  error invalid_argument: after_revision must be a whole number, got the string 'last'
