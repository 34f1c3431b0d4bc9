# A successor can look at the outputs' beginnings before it reads them whole.

let run = call workflow_create {"name": "n", "input": "abcde"*100}
  {"run_id":"wf-e1e459320dd7","name":"n","status":"created"}
call workflow_checkpoint {"run_id": "$run.run_id", "step": 1, "output": "abcde"*100}
  {"ok":true,"run_id":"wf-e1e459320dd7","step":1,"last_step":1,"next_step":2,"steps":1}
call workflow_checkpoint {"run_id": "$run.run_id", "step": 2, "output": null}
  {"ok":true,"run_id":"wf-e1e459320dd7","step":2,"last_step":2,"next_step":3,"steps":2}
call workflow_resume {"run_id": "$run.run_id", "values": "head"}
  {"run_id":"wf-e1e459320dd7","last_step":2,"step_outputs":{"1":{"head":"\"abcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcde","bytes":502},"2":null},"meta":{"run_id":"wf-e1e459320dd7","name":"n","status":"running","tags":{},"agent_id":null,"last_step":2,"next_step":3,"steps":2,"created_at":1700000000.0,"updated_at":1700000000.0,"priority":0,"attempts":0,"max_attempts":1,"max_lapses":20,"input":{"head":"\"abcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcde","bytes":502}}}
call workflow_status {"run_id": "$run.run_id", "values": "none"}
  {"run_id":"wf-e1e459320dd7","name":"n","status":"running","tags":{},"agent_id":null,"last_step":2,"next_step":3,"steps":2,"created_at":1700000000.0,"updated_at":1700000000.0,"priority":0,"attempts":0,"max_attempts":1,"max_lapses":20,"input":{"bytes":502}}
