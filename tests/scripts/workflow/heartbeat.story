# A heartbeat prolongs the claim.

let run = call workflow_create {"name": "n"}
  {"run_id":"wf-e1e459320dd7","name":"n","status":"created"}
let claim = call workflow_claim {"run_id": "$run.run_id", "agent_id": "w1", "claim_ttl_seconds": 10}
  {"claimed":true,"run_id":"wf-e1e459320dd7","agent_id":"w1","reason":null,"claim_token":2,"claim_expires_at":1700000010.0}
advance 9s
call workflow_heartbeat {"run_id": "$run.run_id", "agent_id": "w1", "claim_token": $claim.claim_token}
  {"ok":true,"run_id":"wf-e1e459320dd7","status":"claimed","claim_expires_at":1700000019.0}
advance 9s
call workflow_claim {"run_id": "$run.run_id", "agent_id": "w2"}
  {"claimed":false,"run_id":"wf-e1e459320dd7","agent_id":null,"reason":"Workflow is in status 'claimed' (agent: w1)","claim_token":null,"claim_expires_at":null}
call workflow_heartbeat {"run_id": "$run.run_id", "agent_id": "w2", "claim_token": $claim.claim_token}
  {"ok":false,"run_id":"wf-e1e459320dd7","status":"claimed","reason":"Workflow is in status 'claimed' (agent: w1)"}
call workflow_heartbeat {"run_id": "$run.run_id", "agent_id": "w1", "claim_token": 99}
  {"ok":false,"run_id":"wf-e1e459320dd7","status":"claimed","reason":"claim_token 99 is no longer current"}
call workflow_heartbeat {"run_id": "wf-none", "agent_id": "w1", "claim_token": 1}
  error not_found: Workflow 'wf-none' not found
call workflow_heartbeat {"run_id": "$run.run_id", "agent_id": "w1"}
  error invalid_argument: claim_token is required
