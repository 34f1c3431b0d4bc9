# Runs that fail at the same moment do not come back at the same moment.

let a = call workflow_create {"name": "a", "max_attempts": 2}
  {"run_id":"wf-e1e459320dd7","name":"a","status":"created"}
let b = call workflow_create {"name": "b", "max_attempts": 2}
  {"run_id":"wf-3cd7f43c661c","name":"b","status":"created"}
let c = call workflow_create {"name": "c", "max_attempts": 2, "retry": {"backoff_seconds": 60}}
  {"run_id":"wf-4080bab12a02","name":"c","status":"created"}
call workflow_fail {"run_id": "$a.run_id", "error": "down"}
  {"ok":true,"run_id":"wf-e1e459320dd7","status":"created"}
call workflow_fail {"run_id": "$b.run_id", "error": "down"}
  {"ok":true,"run_id":"wf-3cd7f43c661c","status":"created"}
call workflow_fail {"run_id": "$c.run_id", "error": "down"}
  {"ok":true,"run_id":"wf-4080bab12a02","status":"created"}
call workflow_list {}
  {"runs":[{"run_id":"wf-4080bab12a02","name":"c","status":"created","tags":{},"agent_id":null,"last_step":0,"next_step":0,"steps":0,"created_at":1700000000.0,"updated_at":1700000000.0,"priority":0,"attempts":1,"max_attempts":2,"ready_at":1700000058.516,"error":"down"},{"run_id":"wf-3cd7f43c661c","name":"b","status":"created","tags":{},"agent_id":null,"last_step":0,"next_step":0,"steps":0,"created_at":1700000000.0,"updated_at":1700000000.0,"priority":0,"attempts":1,"max_attempts":2,"ready_at":1700000000.912,"error":"down"},{"run_id":"wf-e1e459320dd7","name":"a","status":"created","tags":{},"agent_id":null,"last_step":0,"next_step":0,"steps":0,"created_at":1700000000.0,"updated_at":1700000000.0,"priority":0,"attempts":1,"max_attempts":2,"ready_at":1700000000.682,"error":"down"}]}
let d = call workflow_create {"name": "d", "max_attempts": 2}
  {"run_id":"wf-eb70673e29cb","name":"d","status":"created"}
call workflow_fail {"run_id": "$d.run_id", "error": "down", "retry_after_seconds": 5}
  {"ok":true,"run_id":"wf-eb70673e29cb","status":"created"}
call workflow_status {"run_id": "$d.run_id"}
  {"run_id":"wf-eb70673e29cb","name":"d","status":"created","tags":{},"agent_id":null,"last_step":0,"next_step":0,"steps":0,"created_at":1700000000.0,"updated_at":1700000000.0,"priority":0,"attempts":1,"max_attempts":2,"ready_at":1700000005.0,"error":"down"}
