# if_revision 0 means that the key must not exist.

call state_set {"key": "k", "value": 1, "if_revision": 0}
  {"ok":true,"revision":1}
call state_set {"key": "k", "value": 2, "if_revision": 0}
  {"ok":false,"revision":1,"reason":"if_revision: the key is at revision 1, not 0"}
call state_set {"key": "other", "value": 1, "if_revision": 7}
  {"ok":false,"revision":0,"reason":"if_revision: the key is at revision 0, not 7"}
