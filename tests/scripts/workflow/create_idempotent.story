# With the same idempotency key the same run is returned again.

call workflow_create {"name": "n", "idempotency_key": "once"}
  {"run_id":"wf-e1e459320dd7","name":"n","status":"created"}
call workflow_create {"name": "n", "idempotency_key": "once"}
  {"run_id":"wf-e1e459320dd7","name":"n","status":"created"}
call workflow_create {"name": "n"}
  {"run_id":"wf-4080bab12a02","name":"n","status":"created"}
