# Only the name is required.

call workflow_create {"name": "only"}
  {"run_id":"wf-e1e459320dd7","name":"only","status":"created"}
call workflow_list {}
  {"runs":[{"run_id":"wf-e1e459320dd7","name":"only","status":"created","tags":{},"agent_id":null,"last_step":0,"next_step":0,"steps":0,"created_at":1700000000.0,"updated_at":1700000000.0,"priority":0,"attempts":0,"max_attempts":1,"max_lapses":20}]}
