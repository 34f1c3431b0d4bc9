# Runs are counted by name and status, with the one that has waited longest, and a parent
# tells how its children are.

call workflow_stats {}
  {"stats":[]}
let whole = call workflow_create {"name": "whole"}
  {"run_id":"wf-e1e459320dd7","name":"whole","status":"created"}
let slow = call workflow_create {"name": "etl", "parent_run_id": "$whole.run_id", "priority": -1}
  {"run_id":"wf-3cd7f43c661c","name":"etl","status":"created"}
advance 60s
let fast = call workflow_create {"name": "etl", "parent_run_id": "$whole.run_id"}
  {"run_id":"wf-4080bab12a02","name":"etl","status":"created"}
call workflow_create {"name": "etl", "delay_seconds": 600}
  {"run_id":"wf-eb70673e29cb","name":"etl","status":"created"}
call workflow_create {"name": "etl", "depends_on": ["$slow.run_id"]}
  {"run_id":"wf-3b666a1e21da","name":"etl","status":"blocked"}
call workflow_stats {}
  {"stats":[{"name":"etl","counts":{"created":3,"blocked":1},"oldest_waiting":{"run_id":"wf-3cd7f43c661c","waiting_since":1700000000.0},"last_5_minutes":{"created":4,"claimed":0,"completed":0,"failed":0}},{"name":"whole","counts":{"created":1},"oldest_waiting":{"run_id":"wf-e1e459320dd7","waiting_since":1700000000.0},"last_5_minutes":{"created":1,"claimed":0,"completed":0,"failed":0}}]}
call workflow_status {"run_id": "$whole.run_id"}
  {"run_id":"wf-e1e459320dd7","name":"whole","status":"created","tags":{},"agent_id":null,"last_step":0,"next_step":0,"steps":0,"created_at":1700000000.0,"updated_at":1700000000.0,"priority":0,"attempts":0,"max_attempts":1,"max_lapses":20,"children":{"created":2}}
call workflow_claim_next {"agent_id": "w1", "name": "etl"}
  {"claimed":true,"run_id":"wf-4080bab12a02","agent_id":"w1","reason":null,"claim_token":6,"claim_expires_at":1700000360.0}
call workflow_stats {"name": "etl"}
  {"stats":[{"name":"etl","counts":{"created":2,"claimed":1,"blocked":1},"oldest_waiting":{"run_id":"wf-3cd7f43c661c","waiting_since":1700000000.0},"last_5_minutes":{"created":4,"claimed":1,"completed":0,"failed":0}}]}
call workflow_complete {"run_id": "$fast.run_id", "agent_id": "w1"}
  {"ok":true,"run_id":"wf-4080bab12a02","status":"done"}
call workflow_fail {"run_id": "$slow.run_id", "error": "e"}
  {"ok":true,"run_id":"wf-3cd7f43c661c","status":"failed"}
call workflow_status {"run_id": "$whole.run_id"}
  {"run_id":"wf-e1e459320dd7","name":"whole","status":"created","tags":{},"agent_id":null,"last_step":0,"next_step":0,"steps":0,"created_at":1700000000.0,"updated_at":1700000000.0,"priority":0,"attempts":0,"max_attempts":1,"max_lapses":20,"children":{"done":1,"failed":1}}
call workflow_stats {"name": "etl"}
  {"stats":[{"name":"etl","counts":{"created":1,"done":1,"failed":2},"last_5_minutes":{"created":4,"claimed":1,"completed":1,"failed":2}}]}
call workflow_stats {"limit": 1}
  {"stats":[{"name":"etl","counts":{"created":1,"done":1,"failed":2},"last_5_minutes":{"created":4,"claimed":1,"completed":1,"failed":2}}],"next_cursor":"etl","remaining":1}
call workflow_stats {"limit": 1, "cursor": "etl"}
  {"stats":[{"name":"whole","counts":{"created":1},"oldest_waiting":{"run_id":"wf-e1e459320dd7","waiting_since":1700000000.0},"last_5_minutes":{"created":1,"claimed":0,"completed":0,"failed":0}}]}
advance 300s
call workflow_stats {"name": "etl"}
  {"stats":[{"name":"etl","counts":{"created":1,"done":1,"failed":2},"last_5_minutes":{"created":1,"claimed":0,"completed":0,"failed":0}}]}
advance 600s
call workflow_stats {"name": "etl"}
  {"stats":[{"name":"etl","counts":{"created":1,"done":1,"failed":2},"oldest_waiting":{"run_id":"wf-eb70673e29cb","waiting_since":1700000660.0},"last_5_minutes":{"created":0,"claimed":0,"completed":0,"failed":0}}]}
call workflow_stats {"name": "et"}
  {"stats":[]}
call workflow_delete {"run_id": "$whole.run_id"}
  {"ok":false,"run_id":"wf-e1e459320dd7","status":"created","reason":"Workflow is in status 'created' (agent: None); only runs that are over can be removed"}
call workflow_stats {"name": "whole"}
  {"stats":[{"name":"whole","counts":{"created":1},"oldest_waiting":{"run_id":"wf-e1e459320dd7","waiting_since":1700000000.0},"last_5_minutes":{"created":0,"claimed":0,"completed":0,"failed":0}}]}
call workflow_pause {"name": "etl", "agent_id": "boss"}
  {"name":"etl","paused":true,"changed":true}
call workflow_stats {"name": "etl"}
  {"stats":[{"name":"etl","counts":{"created":1,"done":1,"failed":2},"oldest_waiting":{"run_id":"wf-eb70673e29cb","waiting_since":1700000660.0},"paused":true,"last_5_minutes":{"created":0,"claimed":0,"completed":0,"failed":0}}]}
