# A run whose time passes ends the wait as well.

let run = call workflow_create {"name": "n", "deadline_seconds": 60}
  {"run_id":"wf-e1e459320dd7","name":"n","status":"created"}
start waiting call workflow_wait {"run_id": "$run.run_id", "wait_seconds": 50}
advance 60s
sweep
  removed 1
join waiting
  {"changed":true,"run_id":"wf-e1e459320dd7","status":"failed","last_step":0,"next_step":0,"error":"the deadline of the run has passed"}
