# Claiming again with the same idempotency key gives the same claim.

call workflow_create {"name": "a"}
  {"run_id":"wf-e1e459320dd7","name":"a","status":"created"}
call workflow_create {"name": "b"}
  {"run_id":"wf-3cd7f43c661c","name":"b","status":"created"}
call workflow_claim_next {"agent_id": "w", "idempotency_key": "k"}
  {"claimed":true,"run_id":"wf-e1e459320dd7","agent_id":"w","reason":null,"claim_token":3,"claim_expires_at":1700000300.0}
call workflow_claim_next {"agent_id": "w", "idempotency_key": "k"}
  {"claimed":true,"run_id":"wf-e1e459320dd7","agent_id":"w","reason":null,"claim_token":3,"claim_expires_at":1700000300.0}
