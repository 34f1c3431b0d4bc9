# A waiting worker gets a run as soon as there is one.

start worker call workflow_claim_next {"agent_id": "w", "wait_seconds": 10}
call workflow_create {"name": "a"}
  {"run_id":"wf-e1e459320dd7","name":"a","status":"created"}
join worker
  {"claimed":true,"run_id":"wf-e1e459320dd7","agent_id":"w","reason":null,"claim_token":2,"claim_expires_at":1700000300.0}
