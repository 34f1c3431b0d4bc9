# An idempotency key remembers a claim, but not that there was nothing to claim.

call workflow_claim_next {"agent_id": "w", "wait_seconds": 1, "idempotency_key": "k"}
  {"claimed":false,"run_id":null,"agent_id":null,"reason":"No workflow is claimable","claim_token":null,"claim_expires_at":null}
call workflow_create {"name": "a"}
  {"run_id":"wf-e1e459320dd7","name":"a","status":"created"}
call workflow_claim_next {"agent_id": "w", "wait_seconds": 1, "idempotency_key": "k"}
  {"claimed":true,"run_id":"wf-e1e459320dd7","agent_id":"w","reason":null,"claim_token":2,"claim_expires_at":1700000300.0}
call workflow_create {"name": "b"}
  {"run_id":"wf-3cd7f43c661c","name":"b","status":"created"}
call workflow_claim_next {"agent_id": "w", "wait_seconds": 1, "idempotency_key": "k"}
  {"claimed":true,"run_id":"wf-e1e459320dd7","agent_id":"w","reason":null,"claim_token":2,"claim_expires_at":1700000300.0}
call workflow_claim_next {"agent_id": "w", "idempotency_key": "k"}
  {"claimed":true,"run_id":"wf-e1e459320dd7","agent_id":"w","reason":null,"claim_token":2,"claim_expires_at":1700000300.0}
call workflow_claim_next {"agent_id": "v", "wait_seconds": 1, "idempotency_key": "k"}
  error invalid_argument: idempotency_key: 'k' was used before with other arguments
