# Fair keys take turns, and a run that has waited for long goes before a higher priority.

call workflow_create {"name": "a", "fair_key": "many"}
  {"run_id":"wf-e1e459320dd7","name":"a","status":"created"}
call workflow_create {"name": "a", "fair_key": "many"}
  {"run_id":"wf-3cd7f43c661c","name":"a","status":"created"}
call workflow_create {"name": "a", "fair_key": "many"}
  {"run_id":"wf-4080bab12a02","name":"a","status":"created"}
call workflow_create {"name": "a", "fair_key": "few"}
  {"run_id":"wf-eb70673e29cb","name":"a","status":"created"}
call workflow_claim_next {"agent_id": "w", "limit": 4}
  {"claimed":true,"run_id":null,"agent_id":"w","reason":null,"runs":[{"run_id":"wf-e1e459320dd7","claim_token":5,"claim_expires_at":1700000300.0},{"run_id":"wf-3cd7f43c661c","claim_token":6,"claim_expires_at":1700000300.0},{"run_id":"wf-eb70673e29cb","claim_token":7,"claim_expires_at":1700000300.0},{"run_id":"wf-4080bab12a02","claim_token":8,"claim_expires_at":1700000300.0}]}
call workflow_create {"name": "old"}
  {"run_id":"wf-3b666a1e21da","name":"old","status":"created"}
advance 601s
call workflow_create {"name": "old", "priority": 1}
  {"run_id":"wf-be86cbbeaa11","name":"old","status":"created"}
call workflow_claim_next {"agent_id": "w", "name": "old"}
  {"claimed":true,"run_id":"wf-3b666a1e21da","agent_id":"w","reason":null,"claim_token":11,"claim_expires_at":1700000901.0}
call workflow_create {"name": "a", "fair_key": ""}
  error invalid_argument: fair_key must not be empty
