# Storing a step again replaces its output; last_step is the highest.

let run = call workflow_create {"name": "n"}
  {"run_id":"wf-e1e459320dd7","name":"n","status":"created"}
call workflow_checkpoint {"run_id": "$run.run_id", "step": 2, "output": "two"}
  {"ok":true,"run_id":"wf-e1e459320dd7","step":2,"last_step":2,"next_step":3,"steps":1}
call workflow_checkpoint {"run_id": "$run.run_id", "step": 1, "output": "one"}
  {"ok":true,"run_id":"wf-e1e459320dd7","step":1,"last_step":2,"next_step":3,"steps":2}
call workflow_checkpoint {"run_id": "$run.run_id", "step": 2, "output": "two again"}
  {"ok":true,"run_id":"wf-e1e459320dd7","step":2,"last_step":2,"next_step":3,"steps":2}
call workflow_resume {"run_id": "$run.run_id"}
  {"run_id":"wf-e1e459320dd7","last_step":2,"step_outputs":{"1":"one","2":"two again"},"meta":{"run_id":"wf-e1e459320dd7","name":"n","status":"running","tags":{},"agent_id":null,"last_step":2,"next_step":3,"steps":2,"created_at":1700000000.0,"updated_at":1700000000.0,"priority":0,"attempts":0,"max_attempts":1,"max_lapses":20}}
