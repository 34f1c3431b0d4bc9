# With a limit, one call claims several runs, each with a token of its own.

call workflow_claim_next {"agent_id": "w", "limit": 2}
  {"claimed":false,"run_id":null,"agent_id":null,"reason":"No workflow is claimable","runs":[]}
call workflow_create {"name": "a"}
  {"run_id":"wf-e1e459320dd7","name":"a","status":"created"}
call workflow_create {"name": "a", "priority": 1}
  {"run_id":"wf-3cd7f43c661c","name":"a","status":"created"}
call workflow_create {"name": "a"}
  {"run_id":"wf-4080bab12a02","name":"a","status":"created"}
call workflow_claim_next {"agent_id": "w", "limit": 2, "idempotency_key": "k"}
  {"claimed":true,"run_id":null,"agent_id":"w","reason":null,"runs":[{"run_id":"wf-3cd7f43c661c","claim_token":4,"claim_expires_at":1700000300.0},{"run_id":"wf-e1e459320dd7","claim_token":5,"claim_expires_at":1700000300.0}]}
call workflow_claim_next {"agent_id": "w", "limit": 2, "idempotency_key": "k"}
  {"claimed":true,"run_id":null,"agent_id":"w","reason":null,"runs":[{"run_id":"wf-3cd7f43c661c","claim_token":4,"claim_expires_at":1700000300.0},{"run_id":"wf-e1e459320dd7","claim_token":5,"claim_expires_at":1700000300.0}]}
call workflow_claim_next {"agent_id": "w", "limit": 2}
  {"claimed":true,"run_id":null,"agent_id":"w","reason":null,"runs":[{"run_id":"wf-4080bab12a02","claim_token":6,"claim_expires_at":1700000300.0}]}
call workflow_complete {"run_id": "wf-3cd7f43c661c", "agent_id": "w", "claim_token": 4}
  {"ok":true,"run_id":"wf-3cd7f43c661c","status":"done"}
call workflow_complete {"run_id": "wf-e1e459320dd7", "agent_id": "w", "claim_token": 5}
  {"ok":true,"run_id":"wf-e1e459320dd7","status":"done"}
call workflow_claim_next {"agent_id": "w", "limit": 1}
  {"claimed":false,"run_id":null,"agent_id":null,"reason":"No workflow is claimable","runs":[]}
call workflow_claim_next {"agent_id": "w", "limit": 0}
  error invalid_argument: limit must be >= 1, got 0
call workflow_claim_next {"agent_id": "w", "limit": 101}
  error invalid_argument: limit must be <= 100, got 101
call workflow_claim_next {"agent_id": "w", "limit": "many"}
  error invalid_argument: limit must be a whole number, got the string 'many'
