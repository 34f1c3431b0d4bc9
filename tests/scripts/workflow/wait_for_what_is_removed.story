# A run that does not exist, or no more, is not found.

call workflow_wait {"run_id": "wf-none"}
  error not_found: Workflow 'wf-none' not found
call workflow_wait {"parent_run_id": "wf-none"}
  error not_found: Workflow 'wf-none' not found
let run = call workflow_create {"name": "n"}
  {"run_id":"wf-e1e459320dd7","name":"n","status":"created"}
start waiting call workflow_wait {"run_id": "$run.run_id", "wait_seconds": 10}
call sidecar_reset {"confirm": true}
  {"ok":true,"cleared":1}
join waiting
  error not_found: Workflow 'wf-e1e459320dd7' not found
