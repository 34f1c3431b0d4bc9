# A call waits for a step, or for the end of the run if that comes first.

let run = call workflow_create {"name": "n"}
  {"run_id":"wf-e1e459320dd7","name":"n","status":"created"}
start first call workflow_wait {"run_id": "$run.run_id", "step": 1, "wait_seconds": 10}
start third call workflow_wait {"run_id": "$run.run_id", "step": 3, "wait_seconds": 10}
call workflow_checkpoint {"run_id": "$run.run_id", "step": 1, "output": 1}
  {"ok":true,"run_id":"wf-e1e459320dd7","step":1,"last_step":1,"next_step":2,"steps":1}
join first
  {"changed":true,"run_id":"wf-e1e459320dd7","status":"running","last_step":1,"next_step":2}
call workflow_fail {"run_id": "$run.run_id", "error": "broken"}
  {"ok":true,"run_id":"wf-e1e459320dd7","status":"failed"}
join third
  {"changed":true,"run_id":"wf-e1e459320dd7","status":"failed","last_step":1,"next_step":2,"error":"broken"}
