# A run whose delay is over can be claimed at once. When the sweep promotes it,
# nothing changes that a caller could see.

let late = call workflow_create {"name": "late", "delay_seconds": 10, "priority": 1}
  {"run_id":"wf-e1e459320dd7","name":"late","status":"created"}
let other = call workflow_create {"name": "other"}
  {"run_id":"wf-3cd7f43c661c","name":"other","status":"created"}
advance 10s
call workflow_discover {"claimable": true}
  {"runs":[{"run_id":"wf-3cd7f43c661c","name":"other","status":"created","tags":{},"agent_id":null,"last_step":0,"next_step":0,"steps":0,"created_at":1700000000.0,"updated_at":1700000000.0,"priority":0,"attempts":0,"max_attempts":1,"max_lapses":20},{"run_id":"wf-e1e459320dd7","name":"late","status":"created","tags":{},"agent_id":null,"last_step":0,"next_step":0,"steps":0,"created_at":1700000000.0,"updated_at":1700000000.0,"priority":1,"attempts":0,"max_attempts":1,"max_lapses":20,"ready_at":1700000010.0}]}
sweep
  removed 1
call workflow_discover {"claimable": true}
  {"runs":[{"run_id":"wf-3cd7f43c661c","name":"other","status":"created","tags":{},"agent_id":null,"last_step":0,"next_step":0,"steps":0,"created_at":1700000000.0,"updated_at":1700000000.0,"priority":0,"attempts":0,"max_attempts":1,"max_lapses":20},{"run_id":"wf-e1e459320dd7","name":"late","status":"created","tags":{},"agent_id":null,"last_step":0,"next_step":0,"steps":0,"created_at":1700000000.0,"updated_at":1700000000.0,"priority":1,"attempts":0,"max_attempts":1,"max_lapses":20,"ready_at":1700000010.0}]}
call workflow_status {"run_id": "$late.run_id"}
  {"run_id":"wf-e1e459320dd7","name":"late","status":"created","tags":{},"agent_id":null,"last_step":0,"next_step":0,"steps":0,"created_at":1700000000.0,"updated_at":1700000000.0,"priority":1,"attempts":0,"max_attempts":1,"max_lapses":20,"ready_at":1700000010.0}
call workflow_claim_next {"agent_id": "a"}
  {"claimed":true,"run_id":"wf-e1e459320dd7","agent_id":"a","reason":null,"claim_token":3,"claim_expires_at":1700000310.0}
call workflow_claim_next {"agent_id": "a"}
  {"claimed":true,"run_id":"wf-3cd7f43c661c","agent_id":"a","reason":null,"claim_token":4,"claim_expires_at":1700000310.0}
