# What becomes of a run if one that it depends on fails or is cancelled is said when it
# is created.

let first = call workflow_create {"name": "first"}
  {"run_id":"wf-e1e459320dd7","name":"first","status":"created"}
let fails = call workflow_create {"name": "fails", "depends_on": ["$first.run_id"]}
  {"run_id":"wf-3cd7f43c661c","name":"fails","status":"blocked"}
let cancelled = call workflow_create {"name": "cancelled", "depends_on": ["$first.run_id"], "on_dependency_failure": "cancel"}
  {"run_id":"wf-4080bab12a02","name":"cancelled","status":"blocked"}
let goes_on = call workflow_create {"name": "goes on", "depends_on": ["$first.run_id"], "on_dependency_failure": "continue"}
  {"run_id":"wf-eb70673e29cb","name":"goes on","status":"blocked"}
let after = call workflow_create {"name": "after", "depends_on": ["$fails.run_id"]}
  {"run_id":"wf-3b666a1e21da","name":"after","status":"blocked"}
call workflow_fail {"run_id": "$first.run_id", "error": "no disk", "retry": false}
  {"ok":true,"run_id":"wf-e1e459320dd7","status":"failed"}
call workflow_discover {"status": "failed"}
  {"runs":[{"run_id":"wf-3b666a1e21da","name":"after","status":"failed","tags":{},"agent_id":null,"last_step":0,"next_step":0,"steps":0,"created_at":1700000000.0,"updated_at":1700000000.0,"priority":0,"attempts":0,"max_attempts":1,"max_lapses":20,"expires_at":1700001800.0,"error":"workflow 'wf-3cd7f43c661c', which this one depends on, is in status 'failed'","depends_on":["wf-3cd7f43c661c"]},{"run_id":"wf-3cd7f43c661c","name":"fails","status":"failed","tags":{},"agent_id":null,"last_step":0,"next_step":0,"steps":0,"created_at":1700000000.0,"updated_at":1700000000.0,"priority":0,"attempts":0,"max_attempts":1,"max_lapses":20,"expires_at":1700001800.0,"error":"workflow 'wf-e1e459320dd7', which this one depends on, is in status 'failed'","depends_on":["wf-e1e459320dd7"]},{"run_id":"wf-e1e459320dd7","name":"first","status":"failed","tags":{},"agent_id":null,"last_step":0,"next_step":0,"steps":0,"created_at":1700000000.0,"updated_at":1700000000.0,"priority":0,"attempts":1,"max_attempts":1,"max_lapses":20,"expires_at":1700001800.0,"error":"no disk"}]}
call workflow_discover {"status": "cancelled"}
  {"runs":[{"run_id":"wf-4080bab12a02","name":"cancelled","status":"cancelled","tags":{},"agent_id":null,"last_step":0,"next_step":0,"steps":0,"created_at":1700000000.0,"updated_at":1700000000.0,"priority":0,"attempts":0,"max_attempts":1,"max_lapses":20,"expires_at":1700001800.0,"error":"workflow 'wf-e1e459320dd7', which this one depends on, is in status 'failed'","depends_on":["wf-e1e459320dd7"]}]}
call workflow_claim {"run_id": "$goes_on.run_id", "agent_id": "w1"}
  {"claimed":true,"run_id":"wf-eb70673e29cb","agent_id":"w1","reason":null,"claim_token":11,"claim_expires_at":1700000300.0,"prerequisites":{"wf-e1e459320dd7":{"name":"first","status":"failed","error":"no disk"}}}
call workflow_create {"name": "too late", "depends_on": ["$first.run_id"]}
  {"run_id":"wf-be86cbbeaa11","name":"too late","status":"failed"}
call workflow_retry {"run_id": "$fails.run_id"}
  {"ok":false,"run_ids":[],"reason":"workflow 'wf-e1e459320dd7', which this one depends on, is in status 'failed'"}
call workflow_retry {"run_id": "$first.run_id"}
  {"ok":true,"run_ids":["wf-e1e459320dd7"]}
call workflow_retry {"run_id": "$fails.run_id"}
  {"ok":true,"run_ids":["wf-3cd7f43c661c"]}
call workflow_status {"run_id": "$fails.run_id"}
  {"run_id":"wf-3cd7f43c661c","name":"fails","status":"blocked","tags":{},"agent_id":null,"last_step":0,"next_step":0,"steps":0,"created_at":1700000000.0,"updated_at":1700000000.0,"priority":0,"attempts":0,"max_attempts":1,"max_lapses":20,"error":"workflow 'wf-e1e459320dd7', which this one depends on, is in status 'failed'","depends_on":["wf-e1e459320dd7"],"blocked_by":["wf-e1e459320dd7"]}
call workflow_complete {"run_id": "$first.run_id"}
  {"ok":true,"run_id":"wf-e1e459320dd7","status":"done"}
call workflow_status {"run_id": "$fails.run_id"}
  {"run_id":"wf-3cd7f43c661c","name":"fails","status":"created","tags":{},"agent_id":null,"last_step":0,"next_step":0,"steps":0,"created_at":1700000000.0,"updated_at":1700000000.0,"priority":0,"attempts":0,"max_attempts":1,"max_lapses":20,"error":"workflow 'wf-e1e459320dd7', which this one depends on, is in status 'failed'","depends_on":["wf-e1e459320dd7"]}
