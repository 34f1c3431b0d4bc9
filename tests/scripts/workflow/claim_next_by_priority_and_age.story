# The best run is the one with the highest priority, then the oldest.

call workflow_create {"name": "low", "priority": -1}
  {"run_id":"wf-e1e459320dd7","name":"low","status":"created"}
call workflow_create {"name": "old"}
  {"run_id":"wf-3cd7f43c661c","name":"old","status":"created"}
call workflow_create {"name": "young"}
  {"run_id":"wf-4080bab12a02","name":"young","status":"created"}
call workflow_create {"name": "urgent", "priority": 5}
  {"run_id":"wf-eb70673e29cb","name":"urgent","status":"created"}
call workflow_claim_next {"agent_id": "w"}
  {"claimed":true,"run_id":"wf-eb70673e29cb","agent_id":"w","reason":null,"claim_token":5,"claim_expires_at":1700000300.0}
call workflow_claim_next {"agent_id": "w"}
  {"claimed":true,"run_id":"wf-3cd7f43c661c","agent_id":"w","reason":null,"claim_token":6,"claim_expires_at":1700000300.0}
call workflow_claim_next {"agent_id": "w"}
  {"claimed":true,"run_id":"wf-4080bab12a02","agent_id":"w","reason":null,"claim_token":7,"claim_expires_at":1700000300.0}
call workflow_claim_next {"agent_id": "w"}
  {"claimed":true,"run_id":"wf-e1e459320dd7","agent_id":"w","reason":null,"claim_token":8,"claim_expires_at":1700000300.0}
call workflow_claim_next {"agent_id": "w"}
  {"claimed":false,"run_id":null,"agent_id":null,"reason":"No workflow is claimable","claim_token":null,"claim_expires_at":null}
call workflow_list {}
  {"runs":[{"run_id":"wf-eb70673e29cb","name":"urgent","status":"claimed","tags":{},"agent_id":"w","last_step":0,"next_step":0,"steps":0,"created_at":1700000000.0,"updated_at":1700000000.0,"priority":5,"attempts":1,"max_attempts":1,"max_lapses":20,"claim_expires_at":1700000300.0},{"run_id":"wf-4080bab12a02","name":"young","status":"claimed","tags":{},"agent_id":"w","last_step":0,"next_step":0,"steps":0,"created_at":1700000000.0,"updated_at":1700000000.0,"priority":0,"attempts":1,"max_attempts":1,"max_lapses":20,"claim_expires_at":1700000300.0},{"run_id":"wf-3cd7f43c661c","name":"old","status":"claimed","tags":{},"agent_id":"w","last_step":0,"next_step":0,"steps":0,"created_at":1700000000.0,"updated_at":1700000000.0,"priority":0,"attempts":1,"max_attempts":1,"max_lapses":20,"claim_expires_at":1700000300.0},{"run_id":"wf-e1e459320dd7","name":"low","status":"claimed","tags":{},"agent_id":"w","last_step":0,"next_step":0,"steps":0,"created_at":1700000000.0,"updated_at":1700000000.0,"priority":-1,"attempts":1,"max_attempts":1,"max_lapses":20,"claim_expires_at":1700000300.0}]}
