# A condition that did not hold is an answer and is remembered; an error is not.

call state_set {"key": "k", "value": 1, "if_revision": 5, "idempotency_key": "a"}
  {"ok":false,"revision":0,"reason":"if_revision: the key is at revision 0, not 5"}
call state_set {"key": "k", "value": 1}
  {"ok":true,"revision":1}
call state_set {"key": "k", "value": 1, "if_revision": 5, "idempotency_key": "a"}
  {"ok":false,"revision":0,"reason":"if_revision: the key is at revision 0, not 5"}
call workflow_checkpoint {"run_id": "wf-none", "step": 1, "output": 1, "idempotency_key": "b"}
  error not_found: Workflow 'wf-none' not found
call state_set {"key": "k", "value": 2, "idempotency_key": "b"}
  {"ok":true,"revision":2}
