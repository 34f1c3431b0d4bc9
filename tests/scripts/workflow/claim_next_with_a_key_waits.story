# A call under an idempotency key waits for as long as it says, and that there was nothing to
# claim is not remembered.

call workflow_claim_next {"agent_id": "w", "idempotency_key": "k"}
  {"claimed":false,"run_id":null,"agent_id":null,"reason":"No workflow is claimable","claim_token":null,"claim_expires_at":null}
start worker call workflow_claim_next {"agent_id": "w", "idempotency_key": "k", "wait_seconds": 10}
advance 5s
let run = call workflow_create {"name": "n"}
  {"run_id":"wf-e1e459320dd7","name":"n","status":"created"}
join worker
  {"claimed":true,"run_id":"wf-e1e459320dd7","agent_id":"w","reason":null,"claim_token":2,"claim_expires_at":1700000305.0}
call workflow_claim_next {"agent_id": "w", "idempotency_key": "k", "wait_seconds": 10}
  {"claimed":true,"run_id":"wf-e1e459320dd7","agent_id":"w","reason":null,"claim_token":2,"claim_expires_at":1700000305.0}
