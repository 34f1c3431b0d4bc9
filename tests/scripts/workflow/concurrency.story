# No more runs of a concurrency key are claimed at a time than its limit.

call workflow_create {"name": "a", "concurrency": {"key": "api", "limit": 1}}
  {"run_id":"wf-e1e459320dd7","name":"a","status":"created"}
call workflow_create {"name": "a", "concurrency": {"key": "api", "limit": 1}}
  {"run_id":"wf-3cd7f43c661c","name":"a","status":"created"}
call workflow_create {"name": "b"}
  {"run_id":"wf-4080bab12a02","name":"b","status":"created"}
call workflow_claim_next {"agent_id": "w", "limit": 3}
  {"claimed":true,"run_id":null,"agent_id":"w","reason":null,"runs":[{"run_id":"wf-e1e459320dd7","claim_token":4,"claim_expires_at":1700000300.0},{"run_id":"wf-4080bab12a02","claim_token":5,"claim_expires_at":1700000300.0}]}
call workflow_claim {"agent_id": "v", "run_id": "wf-3cd7f43c661c"}
  {"claimed":false,"run_id":"wf-3cd7f43c661c","agent_id":null,"reason":"concurrency key 'api' has 1 of 1 runs claimed","claim_token":null,"claim_expires_at":null}
call workflow_claim_next {"agent_id": "v"}
  {"claimed":false,"run_id":null,"agent_id":null,"reason":"No workflow is claimable","claim_token":null,"claim_expires_at":null}
call workflow_release {"run_id": "wf-e1e459320dd7", "agent_id": "w", "claim_token": 4}
  {"ok":true,"run_id":"wf-e1e459320dd7","status":"created"}
call workflow_claim {"agent_id": "v", "run_id": "wf-3cd7f43c661c"}
  {"claimed":true,"run_id":"wf-3cd7f43c661c","agent_id":"v","reason":null,"claim_token":7,"claim_expires_at":1700000300.0}
call workflow_claim_next {"agent_id": "w"}
  {"claimed":false,"run_id":null,"agent_id":null,"reason":"No workflow is claimable","claim_token":null,"claim_expires_at":null}
advance 300s
call workflow_claim_next {"agent_id": "w", "name": "a"}
  {"claimed":true,"run_id":"wf-e1e459320dd7","agent_id":"w","reason":null,"claim_token":9,"claim_expires_at":1700000600.0}
call workflow_create {"name": "a", "concurrency": {"key": "api", "limit": 0}}
  error invalid_argument: concurrency.limit must be >= 1, got 0
call workflow_create {"name": "a", "concurrency": {"key": "api"}}
  {"run_id":"wf-eb70673e29cb","name":"a","status":"created"}
