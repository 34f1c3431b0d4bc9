# A string of digits is accepted as the number of a step.

let run = call workflow_create {"name": "n"}
  {"run_id":"wf-e1e459320dd7","name":"n","status":"created"}
call workflow_checkpoint {"run_id": "$run.run_id", "step": "3", "output": 1}
  {"ok":true,"run_id":"wf-e1e459320dd7","step":3,"last_step":3,"next_step":4,"steps":1}
