# retry: false ends the run although attempts remain.

let run = call workflow_create {"name": "n", "max_attempts": 3}
  {"run_id":"wf-e1e459320dd7","name":"n","status":"created"}
call workflow_fail {"run_id": "$run.run_id", "error": "hopeless", "retry": false}
  {"ok":true,"run_id":"wf-e1e459320dd7","status":"failed"}
call workflow_status {"run_id": "$run.run_id"}
  {"run_id":"wf-e1e459320dd7","name":"n","status":"failed","tags":{},"agent_id":null,"last_step":0,"next_step":0,"steps":0,"created_at":1700000000.0,"updated_at":1700000000.0,"priority":0,"attempts":1,"max_attempts":3,"expires_at":1700001800.0,"error":"hopeless"}
