# An orchestrator waits for all parts of its work, and is told how they have ended.

let whole = call workflow_create {"name": "whole"}
  {"run_id":"wf-e1e459320dd7","name":"whole","status":"created"}
let a = call workflow_create {"name": "part", "parent_run_id": "$whole.run_id"}
  {"run_id":"wf-3cd7f43c661c","name":"part","status":"created"}
let b = call workflow_create {"name": "part", "parent_run_id": "$whole.run_id"}
  {"run_id":"wf-4080bab12a02","name":"part","status":"created"}
call workflow_wait {"parent_run_id": "$whole.run_id", "wait_seconds": 0}
  {"changed":false,"children":{"created":2}}
start waiting call workflow_wait {"parent_run_id": "$whole.run_id", "wait_seconds": 10}
call workflow_complete {"run_id": "$a.run_id"}
  {"ok":true,"run_id":"wf-3cd7f43c661c","status":"done"}
call workflow_fail {"run_id": "$b.run_id", "error": "broken"}
  {"ok":true,"run_id":"wf-4080bab12a02","status":"failed"}
join waiting
  {"changed":true,"children":{"done":1,"failed":1}}
call workflow_discover {"parent_run_id": "$whole.run_id", "status": "failed"}
  {"runs":[{"run_id":"wf-4080bab12a02","name":"part","status":"failed","tags":{},"agent_id":null,"last_step":0,"next_step":0,"steps":0,"created_at":1700000000.0,"updated_at":1700000000.0,"priority":0,"attempts":1,"max_attempts":1,"max_lapses":20,"parent_run_id":"wf-e1e459320dd7","expires_at":1700001800.0,"error":"broken"}]}
call workflow_wait {"parent_run_id": "$a.run_id"}
  {"changed":true,"children":{}}
