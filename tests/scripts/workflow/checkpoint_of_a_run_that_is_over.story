# A run that is over accepts no steps.

let run = call workflow_create {"name": "n"}
  {"run_id":"wf-e1e459320dd7","name":"n","status":"created"}
call workflow_complete {"run_id": "$run.run_id"}
  {"ok":true,"run_id":"wf-e1e459320dd7","status":"done"}
call workflow_checkpoint {"run_id": "$run.run_id", "step": 1, "output": 1}
  {"ok":false,"run_id":"wf-e1e459320dd7","step":1,"last_step":0,"next_step":0,"steps":0,"reason":"Workflow is in status 'done' (agent: None)"}
call workflow_resume {"run_id": "$run.run_id"}
  {"run_id":"wf-e1e459320dd7","last_step":0,"step_outputs":{},"meta":{"run_id":"wf-e1e459320dd7","name":"n","status":"done","tags":{},"agent_id":null,"last_step":0,"next_step":0,"steps":0,"created_at":1700000000.0,"updated_at":1700000000.0,"priority":0,"attempts":0,"max_attempts":1,"max_lapses":20,"expires_at":1700001800.0}}
