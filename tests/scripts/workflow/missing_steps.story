# Steps that are missing show, and no step is told from step 0.

let run = call workflow_create {"name": "n"}
  {"run_id":"wf-e1e459320dd7","name":"n","status":"created"}
call workflow_checkpoint {"run_id": "$run.run_id", "step": 0, "output": 0}
  {"ok":true,"run_id":"wf-e1e459320dd7","step":0,"last_step":0,"next_step":1,"steps":1}
call workflow_checkpoint {"run_id": "$run.run_id", "step": 5, "output": 5}
  {"ok":true,"run_id":"wf-e1e459320dd7","step":5,"last_step":5,"next_step":1,"steps":2}
call workflow_checkpoint {"run_id": "$run.run_id", "step": 2, "output": 2}
  {"ok":true,"run_id":"wf-e1e459320dd7","step":2,"last_step":5,"next_step":1,"steps":3}
call workflow_checkpoint {"run_id": "$run.run_id", "step": 1, "output": 1}
  {"ok":true,"run_id":"wf-e1e459320dd7","step":1,"last_step":5,"next_step":3,"steps":4}
call workflow_status {"run_id": "$run.run_id"}
  {"run_id":"wf-e1e459320dd7","name":"n","status":"running","tags":{},"agent_id":null,"last_step":5,"next_step":3,"steps":4,"created_at":1700000000.0,"updated_at":1700000000.0,"priority":0,"attempts":0,"max_attempts":1,"max_lapses":20}
