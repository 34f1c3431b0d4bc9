# Cancelling a run cancels all runs below it. Those that are over stay as they are.

let top = call workflow_create {"name": "top"}
  {"run_id":"wf-e1e459320dd7","name":"top","status":"created"}
let mid = call workflow_create {"name": "mid", "parent_run_id": "$top.run_id"}
  {"run_id":"wf-3cd7f43c661c","name":"mid","status":"created"}
let low = call workflow_create {"name": "low", "parent_run_id": "$mid.run_id"}
  {"run_id":"wf-4080bab12a02","name":"low","status":"created"}
let done = call workflow_create {"name": "done", "parent_run_id": "$top.run_id"}
  {"run_id":"wf-eb70673e29cb","name":"done","status":"created"}
let apart = call workflow_create {"name": "apart"}
  {"run_id":"wf-3b666a1e21da","name":"apart","status":"created"}
call workflow_complete {"run_id": "$done.run_id"}
  {"ok":true,"run_id":"wf-eb70673e29cb","status":"done"}
call workflow_cancel {"run_id": "$top.run_id", "reason": "stop"}
  {"ok":true,"run_id":"wf-e1e459320dd7","status":"cancelled"}
call workflow_list {}
  {"runs":[{"run_id":"wf-3b666a1e21da","name":"apart","status":"created","tags":{},"agent_id":null,"last_step":0,"next_step":0,"steps":0,"created_at":1700000000.0,"updated_at":1700000000.0,"priority":0,"attempts":0,"max_attempts":1,"max_lapses":20},{"run_id":"wf-eb70673e29cb","name":"done","status":"done","tags":{},"agent_id":null,"last_step":0,"next_step":0,"steps":0,"created_at":1700000000.0,"updated_at":1700000000.0,"priority":0,"attempts":0,"max_attempts":1,"max_lapses":20,"parent_run_id":"wf-e1e459320dd7","expires_at":1700001800.0},{"run_id":"wf-4080bab12a02","name":"low","status":"cancelled","tags":{},"agent_id":null,"last_step":0,"next_step":0,"steps":0,"created_at":1700000000.0,"updated_at":1700000000.0,"priority":0,"attempts":0,"max_attempts":1,"max_lapses":20,"parent_run_id":"wf-3cd7f43c661c","expires_at":1700001800.0,"error":"stop"},{"run_id":"wf-3cd7f43c661c","name":"mid","status":"cancelled","tags":{},"agent_id":null,"last_step":0,"next_step":0,"steps":0,"created_at":1700000000.0,"updated_at":1700000000.0,"priority":0,"attempts":0,"max_attempts":1,"max_lapses":20,"parent_run_id":"wf-e1e459320dd7","expires_at":1700001800.0,"error":"stop"},{"run_id":"wf-e1e459320dd7","name":"top","status":"cancelled","tags":{},"agent_id":null,"last_step":0,"next_step":0,"steps":0,"created_at":1700000000.0,"updated_at":1700000000.0,"priority":0,"attempts":0,"max_attempts":1,"max_lapses":20,"expires_at":1700001800.0,"error":"stop"}]}
call workflow_create {"name": "late", "parent_run_id": "$mid.run_id"}
  error invalid_argument: parent_run_id: workflow 'wf-3cd7f43c661c' is cancelled
