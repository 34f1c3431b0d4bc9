# A released run is claimable at once, and its steps are kept.

let run = call workflow_create {"name": "n"}
  {"run_id":"wf-e1e459320dd7","name":"n","status":"created"}
let claim = call workflow_claim {"run_id": "$run.run_id", "agent_id": "w1"}
  {"claimed":true,"run_id":"wf-e1e459320dd7","agent_id":"w1","reason":null,"claim_token":2,"claim_expires_at":1700000300.0}
call workflow_checkpoint {"run_id": "$run.run_id", "step": 1, "output": 1, "claim_token": $claim.claim_token}
  {"ok":true,"run_id":"wf-e1e459320dd7","step":1,"last_step":1,"next_step":2,"steps":1}
call workflow_release {"run_id": "$run.run_id", "agent_id": "w2", "claim_token": $claim.claim_token}
  {"ok":false,"run_id":"wf-e1e459320dd7","status":"running","reason":"Workflow is in status 'running' (agent: w1)"}
call workflow_release {"run_id": "$run.run_id", "agent_id": "w1", "claim_token": $claim.claim_token}
  {"ok":true,"run_id":"wf-e1e459320dd7","status":"created"}
call workflow_status {"run_id": "$run.run_id"}
  {"run_id":"wf-e1e459320dd7","name":"n","status":"created","tags":{},"agent_id":null,"last_step":1,"next_step":2,"steps":1,"created_at":1700000000.0,"updated_at":1700000000.0,"priority":0,"attempts":0,"max_attempts":1,"max_lapses":20}
call workflow_release {"run_id": "$run.run_id", "agent_id": "w1", "claim_token": $claim.claim_token}
  {"ok":false,"run_id":"wf-e1e459320dd7","status":"created","reason":"claim_token 2 is no longer current"}
call workflow_claim {"run_id": "$run.run_id", "agent_id": "w2"}
  {"claimed":true,"run_id":"wf-e1e459320dd7","agent_id":"w2","reason":null,"claim_token":5,"claim_expires_at":1700000300.0}
call workflow_resume {"run_id": "$run.run_id"}
  {"run_id":"wf-e1e459320dd7","last_step":1,"step_outputs":{"1":1},"meta":{"run_id":"wf-e1e459320dd7","name":"n","status":"claimed","tags":{},"agent_id":"w2","last_step":1,"next_step":2,"steps":1,"created_at":1700000000.0,"updated_at":1700000000.0,"priority":0,"attempts":1,"max_attempts":1,"max_lapses":20,"claim_expires_at":1700000300.0}}
