# A run with a delay is not claimable before it has passed.

let run = call workflow_create {"name": "n", "delay_seconds": 30}
  {"run_id":"wf-e1e459320dd7","name":"n","status":"created"}
call workflow_claim {"run_id": "$run.run_id", "agent_id": "w"}
  {"claimed":false,"run_id":"wf-e1e459320dd7","agent_id":null,"reason":"Workflow is not ready before 1700000030.000","claim_token":null,"claim_expires_at":null}
call workflow_claim_next {"agent_id": "w"}
  {"claimed":false,"run_id":null,"agent_id":null,"reason":"No workflow is claimable","claim_token":null,"claim_expires_at":null}
advance 30s
call workflow_claim {"run_id": "$run.run_id", "agent_id": "w"}
  {"claimed":true,"run_id":"wf-e1e459320dd7","agent_id":"w","reason":null,"claim_token":2,"claim_expires_at":1700000330.0}
