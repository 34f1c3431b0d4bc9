# A repeated wait with the same idempotency key gives the first answer at once,
# also where it was that there is nothing; the key is no longer free.

call workflow_claim_next {"agent_id": "w", "wait_seconds": 1, "idempotency_key": "k"}
  {"claimed":false,"run_id":null,"agent_id":null,"reason":"No workflow is claimable","claim_token":null,"claim_expires_at":null}
call workflow_create {"name": "a"}
  {"run_id":"wf-e1e459320dd7","name":"a","status":"created"}
call workflow_claim_next {"agent_id": "w", "wait_seconds": 1, "idempotency_key": "k"}
  {"claimed":false,"run_id":null,"agent_id":null,"reason":"No workflow is claimable","claim_token":null,"claim_expires_at":null}
call workflow_claim_next {"agent_id": "v", "wait_seconds": 1, "idempotency_key": "k"}
  error invalid_argument: idempotency_key: 'k' was used before with other arguments
