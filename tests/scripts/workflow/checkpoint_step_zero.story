# Steps count from 0; they come in the order of their numbers.

let run = call workflow_create {"name": "n"}
  {"run_id":"wf-e1e459320dd7","name":"n","status":"created"}
call workflow_checkpoint {"run_id": "$run.run_id", "step": 10, "output": "ten"}
  {"ok":true,"run_id":"wf-e1e459320dd7","step":10,"last_step":10,"next_step":11,"steps":1}
call workflow_checkpoint {"run_id": "$run.run_id", "step": 0, "output": null}
  {"ok":true,"run_id":"wf-e1e459320dd7","step":0,"last_step":10,"next_step":1,"steps":2}
call workflow_checkpoint {"run_id": "$run.run_id", "step": 9, "output": "nine"}
  {"ok":true,"run_id":"wf-e1e459320dd7","step":9,"last_step":10,"next_step":1,"steps":3}
call workflow_resume {"run_id": "$run.run_id"}
  {"run_id":"wf-e1e459320dd7","last_step":10,"step_outputs":{"0":null,"9":"nine","10":"ten"},"meta":{"run_id":"wf-e1e459320dd7","name":"n","status":"running","tags":{},"agent_id":null,"last_step":10,"next_step":1,"steps":3,"created_at":1700000000.0,"updated_at":1700000000.0,"priority":0,"attempts":0,"max_attempts":1,"max_lapses":20}}
