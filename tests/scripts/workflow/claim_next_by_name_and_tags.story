# Name and tags narrow the choice.

call workflow_create {"name": "a", "tags": {"t": "1"}}
  {"run_id":"wf-e1e459320dd7","name":"a","status":"created"}
call workflow_create {"name": "b", "tags": {"t": "2"}}
  {"run_id":"wf-3cd7f43c661c","name":"b","status":"created"}
call workflow_claim_next {"agent_id": "w", "name": "c"}
  {"claimed":false,"run_id":null,"agent_id":null,"reason":"No workflow is claimable","claim_token":null,"claim_expires_at":null}
call workflow_claim_next {"agent_id": "w", "name": "a", "tags": {"t": "2"}}
  {"claimed":false,"run_id":null,"agent_id":null,"reason":"No workflow is claimable","claim_token":null,"claim_expires_at":null}
call workflow_claim_next {"agent_id": "w", "tags": {"t": "2"}}
  {"claimed":true,"run_id":"wf-3cd7f43c661c","agent_id":"w","reason":null,"claim_token":3,"claim_expires_at":1700000300.0}
call workflow_claim_next {"agent_id": "w", "name": "a"}
  {"claimed":true,"run_id":"wf-e1e459320dd7","agent_id":"w","reason":null,"claim_token":4,"claim_expires_at":1700000300.0}
