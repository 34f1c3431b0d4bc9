# The steps of a long run come in pages; next_step leads on.

let run = call workflow_create {"name": "long"}
  {"run_id":"wf-e1e459320dd7","name":"long","status":"created"}
call workflow_checkpoint {"run_id": "$run.run_id", "step": 0, "output": "zero"}
  {"ok":true,"run_id":"wf-e1e459320dd7","step":0,"last_step":0,"next_step":1,"steps":1}
call workflow_checkpoint {"run_id": "$run.run_id", "step": 1, "output": "one"}
  {"ok":true,"run_id":"wf-e1e459320dd7","step":1,"last_step":1,"next_step":2,"steps":2}
call workflow_checkpoint {"run_id": "$run.run_id", "step": 5, "output": "five"}
  {"ok":true,"run_id":"wf-e1e459320dd7","step":5,"last_step":5,"next_step":2,"steps":3}
call workflow_resume {"run_id": "$run.run_id", "limit": 2}
  {"run_id":"wf-e1e459320dd7","last_step":5,"step_outputs":{"0":"zero","1":"one"},"next_from_step":5,"remaining":1,"meta":{"run_id":"wf-e1e459320dd7","name":"long","status":"running","tags":{},"agent_id":null,"last_step":5,"next_step":2,"steps":3,"created_at":1700000000.0,"updated_at":1700000000.0,"priority":0,"attempts":0,"max_attempts":1,"max_lapses":20}}
call workflow_resume {"run_id": "$run.run_id", "limit": 2, "from_step": 5}
  {"run_id":"wf-e1e459320dd7","last_step":5,"step_outputs":{"5":"five"},"meta":{"run_id":"wf-e1e459320dd7","name":"long","status":"running","tags":{},"agent_id":null,"last_step":5,"next_step":2,"steps":3,"created_at":1700000000.0,"updated_at":1700000000.0,"priority":0,"attempts":0,"max_attempts":1,"max_lapses":20}}
call workflow_resume {"run_id": "$run.run_id", "from_step": 6}
  {"run_id":"wf-e1e459320dd7","last_step":5,"step_outputs":{},"meta":{"run_id":"wf-e1e459320dd7","name":"long","status":"running","tags":{},"agent_id":null,"last_step":5,"next_step":2,"steps":3,"created_at":1700000000.0,"updated_at":1700000000.0,"priority":0,"attempts":0,"max_attempts":1,"max_lapses":20}}
call workflow_resume {"run_id": "$run.run_id", "from_step": -1}
  error invalid_argument: from_step must be >= 0, got -1
call workflow_resume {"run_id": "$run.run_id", "limit": 0}
  error invalid_argument: limit must be >= 1, got 0
