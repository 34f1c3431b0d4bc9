# Without further attempts a failed run stays failed.

let run = call workflow_create {"name": "n"}
  {"run_id":"wf-e1e459320dd7","name":"n","status":"created"}
let claim = call workflow_claim {"run_id": "$run.run_id", "agent_id": "w1"}
  {"claimed":true,"run_id":"wf-e1e459320dd7","agent_id":"w1","reason":null,"claim_token":2,"claim_expires_at":1700000300.0}
call workflow_fail {"run_id": "$run.run_id", "error": "disk full", "claim_token": $claim.claim_token}
  {"ok":true,"run_id":"wf-e1e459320dd7","status":"failed"}
call workflow_status {"run_id": "$run.run_id"}
  {"run_id":"wf-e1e459320dd7","name":"n","status":"failed","tags":{},"agent_id":"w1","last_step":0,"next_step":0,"steps":0,"created_at":1700000000.0,"updated_at":1700000000.0,"priority":0,"attempts":1,"max_attempts":1,"max_lapses":20,"expires_at":1700001800.0,"error":"disk full"}
call workflow_fail {"run_id": "$run.run_id", "error": "again"}
  {"ok":false,"run_id":"wf-e1e459320dd7","status":"failed","reason":"Workflow is in status 'failed' (agent: w1)"}
call workflow_complete {"run_id": "$run.run_id"}
  {"ok":false,"run_id":"wf-e1e459320dd7","status":"failed","reason":"Workflow is in status 'failed' (agent: w1)"}
