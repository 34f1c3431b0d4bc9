# Runs are found by tags, all of which must match, and status; newest first.

call workflow_create {"name": "a", "tags": {"t": "1"}}
  {"run_id":"wf-e1e459320dd7","name":"a","status":"created"}
let b = call workflow_create {"name": "b", "tags": {"t": "2", "u": "x"}}
  {"run_id":"wf-3cd7f43c661c","name":"b","status":"created"}
call workflow_create {"name": "c"}
  {"run_id":"wf-4080bab12a02","name":"c","status":"created"}
call workflow_claim {"run_id": "$b.run_id", "agent_id": "w"}
  {"claimed":true,"run_id":"wf-3cd7f43c661c","agent_id":"w","reason":null,"claim_token":4,"claim_expires_at":1700000300.0}
call workflow_discover {}
  {"runs":[{"run_id":"wf-4080bab12a02","name":"c","status":"created","tags":{},"agent_id":null,"last_step":0,"next_step":0,"steps":0,"created_at":1700000000.0,"updated_at":1700000000.0,"priority":0,"attempts":0,"max_attempts":1,"max_lapses":20},{"run_id":"wf-3cd7f43c661c","name":"b","status":"claimed","tags":{"t":"2","u":"x"},"agent_id":"w","last_step":0,"next_step":0,"steps":0,"created_at":1700000000.0,"updated_at":1700000000.0,"priority":0,"attempts":1,"max_attempts":1,"max_lapses":20,"claim_expires_at":1700000300.0},{"run_id":"wf-e1e459320dd7","name":"a","status":"created","tags":{"t":"1"},"agent_id":null,"last_step":0,"next_step":0,"steps":0,"created_at":1700000000.0,"updated_at":1700000000.0,"priority":0,"attempts":0,"max_attempts":1,"max_lapses":20}]}
call workflow_discover {"status": "created"}
  {"runs":[{"run_id":"wf-4080bab12a02","name":"c","status":"created","tags":{},"agent_id":null,"last_step":0,"next_step":0,"steps":0,"created_at":1700000000.0,"updated_at":1700000000.0,"priority":0,"attempts":0,"max_attempts":1,"max_lapses":20},{"run_id":"wf-e1e459320dd7","name":"a","status":"created","tags":{"t":"1"},"agent_id":null,"last_step":0,"next_step":0,"steps":0,"created_at":1700000000.0,"updated_at":1700000000.0,"priority":0,"attempts":0,"max_attempts":1,"max_lapses":20}]}
call workflow_discover {"tags": {"t": "2", "u": "x"}}
  {"runs":[{"run_id":"wf-3cd7f43c661c","name":"b","status":"claimed","tags":{"t":"2","u":"x"},"agent_id":"w","last_step":0,"next_step":0,"steps":0,"created_at":1700000000.0,"updated_at":1700000000.0,"priority":0,"attempts":1,"max_attempts":1,"max_lapses":20,"claim_expires_at":1700000300.0}]}
call workflow_discover {"tags": {"t": "2", "u": "y"}}
  {"runs":[]}
call workflow_discover {"tags": {}, "status": "claimed"}
  {"runs":[{"run_id":"wf-3cd7f43c661c","name":"b","status":"claimed","tags":{"t":"2","u":"x"},"agent_id":"w","last_step":0,"next_step":0,"steps":0,"created_at":1700000000.0,"updated_at":1700000000.0,"priority":0,"attempts":1,"max_attempts":1,"max_lapses":20,"claim_expires_at":1700000300.0}]}
call workflow_discover {"status": "done"}
  {"runs":[]}
