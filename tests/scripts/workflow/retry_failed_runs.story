# Runs that have failed for good are tried again, one or many, with all their attempts and
# every step.

let a = call workflow_create {"name": "a"}
  {"run_id":"wf-e1e459320dd7","name":"a","status":"created"}
let b = call workflow_create {"name": "b", "tags": {"team": "x"}}
  {"run_id":"wf-3cd7f43c661c","name":"b","status":"created"}
let c = call workflow_create {"name": "b", "tags": {"team": "x"}}
  {"run_id":"wf-4080bab12a02","name":"b","status":"created"}
call workflow_checkpoint {"run_id": "$a.run_id", "step": 0, "output": 0}
  {"ok":true,"run_id":"wf-e1e459320dd7","step":0,"last_step":0,"next_step":1,"steps":1}
call workflow_fail {"run_id": "$a.run_id", "error": "down"}
  {"ok":true,"run_id":"wf-e1e459320dd7","status":"failed"}
call workflow_fail {"run_id": "$b.run_id", "error": "down"}
  {"ok":true,"run_id":"wf-3cd7f43c661c","status":"failed"}
call workflow_fail {"run_id": "$c.run_id", "error": "down"}
  {"ok":true,"run_id":"wf-4080bab12a02","status":"failed"}
call workflow_retry {"run_id": "$a.run_id", "agent_id": "boss"}
  {"ok":true,"run_ids":["wf-e1e459320dd7"]}
call workflow_retry {"run_id": "$a.run_id"}
  {"ok":false,"run_ids":[],"reason":"Workflow is in status 'created' (agent: None)"}
call workflow_retry {"name": "b", "tags": {"team": "x"}}
  {"ok":true,"run_ids":["wf-4080bab12a02","wf-3cd7f43c661c"]}
call workflow_retry {}
  {"ok":true,"run_ids":[]}
call workflow_retry {"run_id": "wf-none"}
  error not_found: Workflow 'wf-none' not found
call workflow_retry {"run_id": "$a.run_id", "name": "a"}
  error invalid_argument: give run_id alone, or name, tags and cursor
call workflow_resume {"run_id": "$a.run_id"}
  {"run_id":"wf-e1e459320dd7","last_step":0,"step_outputs":{"0":0},"meta":{"run_id":"wf-e1e459320dd7","name":"a","status":"created","tags":{},"agent_id":null,"last_step":0,"next_step":1,"steps":1,"created_at":1700000000.0,"updated_at":1700000000.0,"priority":0,"attempts":0,"max_attempts":1,"max_lapses":20,"error":"down"}}
call workflow_discover {"claimable": true, "name": "b"}
  {"runs":[{"run_id":"wf-4080bab12a02","name":"b","status":"created","tags":{"team":"x"},"agent_id":null,"last_step":0,"next_step":0,"steps":0,"created_at":1700000000.0,"updated_at":1700000000.0,"priority":0,"attempts":0,"max_attempts":1,"max_lapses":20,"error":"down"},{"run_id":"wf-3cd7f43c661c","name":"b","status":"created","tags":{"team":"x"},"agent_id":null,"last_step":0,"next_step":0,"steps":0,"created_at":1700000000.0,"updated_at":1700000000.0,"priority":0,"attempts":0,"max_attempts":1,"max_lapses":20,"error":"down"}]}
