# claimable finds runs that are ready, and runs whose claim has lapsed.

let a = call workflow_create {"name": "a"}
  {"run_id":"wf-e1e459320dd7","name":"a","status":"created"}
call workflow_create {"name": "b", "delay_seconds": 60}
  {"run_id":"wf-3cd7f43c661c","name":"b","status":"created"}
call workflow_claim {"run_id": "$a.run_id", "agent_id": "w", "claim_ttl_seconds": 10}
  {"claimed":true,"run_id":"wf-e1e459320dd7","agent_id":"w","reason":null,"claim_token":3,"claim_expires_at":1700000010.0}
call workflow_discover {"claimable": true}
  {"runs":[]}
advance 10s
call workflow_discover {"claimable": true}
  {"runs":[{"run_id":"wf-e1e459320dd7","name":"a","status":"created","tags":{},"agent_id":null,"last_step":0,"next_step":0,"steps":0,"created_at":1700000000.0,"updated_at":1700000000.0,"priority":0,"attempts":1,"max_attempts":1,"max_lapses":20,"ready_at":1700000010.0,"error":"the claim of 'w' lapsed in attempt 1 of 20"}]}
call workflow_discover {"claimable": false}
  {"runs":[{"run_id":"wf-3cd7f43c661c","name":"b","status":"created","tags":{},"agent_id":null,"last_step":0,"next_step":0,"steps":0,"created_at":1700000000.0,"updated_at":1700000000.0,"priority":0,"attempts":0,"max_attempts":1,"max_lapses":20,"ready_at":1700000060.0}]}
