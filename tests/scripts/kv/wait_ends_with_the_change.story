# A waiting call ends as soon as the key changes.

call state_set {"key": "k", "value": 1}
  {"ok":true,"revision":1}
start waiting call state_wait {"key": "k", "after_revision": 1, "timeout_seconds": 10}
call state_set {"key": "k", "value": 2, "agent_id": "a"}
  {"ok":true,"revision":2}
join waiting
  {"changed":true,"events":[{"id":2,"key":"k","new_value":2,"previous_value":1,"agent_id":"a","written_at":1700000000.0,"action":"state_set","revision":2,"chain":"d1b531b3e85ef3e1945715f97d4a9a80279c412eb8ad3de124a4119860c74e1a"}],"revision":2}
