# With several tags and a status, only runs that match all of them are found.

call workflow_create {"name": "a", "tags": {"x": "1", "y": "1"}}
  {"run_id":"wf-e1e459320dd7","name":"a","status":"created"}
call workflow_create {"name": "b", "tags": {"x": "1"}}
  {"run_id":"wf-3cd7f43c661c","name":"b","status":"created"}
call workflow_create {"name": "c", "tags": {"y": "1"}}
  {"run_id":"wf-4080bab12a02","name":"c","status":"created"}
let d = call workflow_create {"name": "d", "tags": {"x": "1", "y": "1"}}
  {"run_id":"wf-eb70673e29cb","name":"d","status":"created"}
call workflow_claim {"run_id": "$d.run_id", "agent_id": "w"}
  {"claimed":true,"run_id":"wf-eb70673e29cb","agent_id":"w","reason":null,"claim_token":5,"claim_expires_at":1700000300.0}
call workflow_discover {"tags": {"x": "1", "y": "1"}}
  {"runs":[{"run_id":"wf-eb70673e29cb","name":"d","status":"claimed","tags":{"x":"1","y":"1"},"agent_id":"w","last_step":0,"next_step":0,"steps":0,"created_at":1700000000.0,"updated_at":1700000000.0,"priority":0,"attempts":1,"max_attempts":1,"max_lapses":20,"claim_expires_at":1700000300.0},{"run_id":"wf-e1e459320dd7","name":"a","status":"created","tags":{"x":"1","y":"1"},"agent_id":null,"last_step":0,"next_step":0,"steps":0,"created_at":1700000000.0,"updated_at":1700000000.0,"priority":0,"attempts":0,"max_attempts":1,"max_lapses":20}]}
call workflow_discover {"tags": {"x": "1", "y": "1"}, "status": "claimed"}
  {"runs":[{"run_id":"wf-eb70673e29cb","name":"d","status":"claimed","tags":{"x":"1","y":"1"},"agent_id":"w","last_step":0,"next_step":0,"steps":0,"created_at":1700000000.0,"updated_at":1700000000.0,"priority":0,"attempts":1,"max_attempts":1,"max_lapses":20,"claim_expires_at":1700000300.0}]}
call workflow_discover {"tags": {"x": "1", "y": "2"}}
  {"runs":[]}
call workflow_claim_next {"agent_id": "w", "tags": {"x": "1", "y": "1"}, "name": "b"}
  {"claimed":false,"run_id":null,"agent_id":null,"reason":"No workflow is claimable","claim_token":null,"claim_expires_at":null}
call workflow_claim_next {"agent_id": "w", "tags": {"x": "1", "y": "1"}}
  {"claimed":true,"run_id":"wf-e1e459320dd7","agent_id":"w","reason":null,"claim_token":6,"claim_expires_at":1700000300.0}
