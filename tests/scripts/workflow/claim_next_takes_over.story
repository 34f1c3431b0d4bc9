# A run whose claim has lapsed can be claimed too.

call workflow_create {"name": "a"}
  {"run_id":"wf-e1e459320dd7","name":"a","status":"created"}
call workflow_claim_next {"agent_id": "w1", "claim_ttl_seconds": 5}
  {"claimed":true,"run_id":"wf-e1e459320dd7","agent_id":"w1","reason":null,"claim_token":2,"claim_expires_at":1700000005.0}
call workflow_claim_next {"agent_id": "w2"}
  {"claimed":false,"run_id":null,"agent_id":null,"reason":"No workflow is claimable","claim_token":null,"claim_expires_at":null}
advance 5s
call workflow_claim_next {"agent_id": "w2"}
  {"claimed":true,"run_id":"wf-e1e459320dd7","agent_id":"w2","reason":null,"claim_token":4,"claim_expires_at":1700000305.0}
