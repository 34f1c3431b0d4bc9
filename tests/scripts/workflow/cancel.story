# A cancelled run is over, and its worker learns this at its next call.

let run = call workflow_create {"name": "n"}
  {"run_id":"wf-e1e459320dd7","name":"n","status":"created"}
let claim = call workflow_claim {"run_id": "$run.run_id", "agent_id": "w1"}
  {"claimed":true,"run_id":"wf-e1e459320dd7","agent_id":"w1","reason":null,"claim_token":2,"claim_expires_at":1700000300.0}
call workflow_cancel {"run_id": "$run.run_id", "reason": "not needed", "agent_id": "boss"}
  {"ok":true,"run_id":"wf-e1e459320dd7","status":"cancelled"}
call workflow_checkpoint {"run_id": "$run.run_id", "step": 1, "output": 1, "claim_token": $claim.claim_token}
  {"ok":false,"run_id":"wf-e1e459320dd7","step":1,"last_step":0,"next_step":0,"steps":0,"reason":"Workflow is in status 'cancelled' (agent: w1)"}
call workflow_heartbeat {"run_id": "$run.run_id", "agent_id": "w1", "claim_token": $claim.claim_token}
  {"ok":false,"run_id":"wf-e1e459320dd7","status":"cancelled","reason":"Workflow is in status 'cancelled' (agent: w1)"}
call workflow_cancel {"run_id": "$run.run_id"}
  {"ok":false,"run_id":"wf-e1e459320dd7","status":"cancelled","reason":"Workflow is in status 'cancelled' (agent: w1)"}
call workflow_cancel {"run_id": "wf-none"}
  error not_found: Workflow 'wf-none' not found
call workflow_status {"run_id": "$run.run_id"}
  {"run_id":"wf-e1e459320dd7","name":"n","status":"cancelled","tags":{},"agent_id":"w1","last_step":0,"next_step":0,"steps":0,"created_at":1700000000.0,"updated_at":1700000000.0,"priority":0,"attempts":1,"max_attempts":1,"max_lapses":20,"expires_at":1700001800.0,"error":"not needed"}
