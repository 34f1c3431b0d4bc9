# If the history no longer holds the changes after the revision, the answer says so.

call state_set {"key": "k", "value": 1}
  {"ok":true,"revision":1}
call state_set {"key": "k", "value": 2}
  {"ok":true,"revision":2}
call sidecar_reset {"confirm": true}
  {"ok":true,"cleared":3}
call state_wait {"key": "k", "after_revision": 1, "timeout_seconds": 10}
  {"changed":false,"events":[],"revision":3,"missed":true}
