# A failure that an agent reports twice counts once.

let run = call workflow_create {"name": "n", "max_attempts": 3}
  {"run_id":"wf-e1e459320dd7","name":"n","status":"created"}
call workflow_claim {"run_id": "$run.run_id", "agent_id": "w1"}
  {"claimed":true,"run_id":"wf-e1e459320dd7","agent_id":"w1","reason":null,"claim_token":2,"claim_expires_at":1700000300.0}
call workflow_fail {"run_id": "$run.run_id", "error": "broken", "agent_id": "w1"}
  {"ok":true,"run_id":"wf-e1e459320dd7","status":"created"}
call workflow_fail {"run_id": "$run.run_id", "error": "broken", "agent_id": "w1"}
  {"ok":false,"run_id":"wf-e1e459320dd7","status":"created","reason":"Workflow is in status 'created' and not claimed by 'w1'"}
call workflow_status {"run_id": "$run.run_id"}
  {"run_id":"wf-e1e459320dd7","name":"n","status":"created","tags":{},"agent_id":null,"last_step":0,"next_step":0,"steps":0,"created_at":1700000000.0,"updated_at":1700000000.0,"priority":0,"attempts":1,"max_attempts":3,"ready_at":1700000000.682,"error":"broken"}
