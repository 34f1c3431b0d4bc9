# A claim that has lapsed is offered to others, and its holder has lost it, even if
# nobody else has taken over.

let run = call workflow_create {"name": "a"}
  {"run_id":"wf-e1e459320dd7","name":"a","status":"created"}
let mine = call workflow_claim {"run_id": "$run.run_id", "agent_id": "a", "claim_ttl_seconds": 5}
  {"claimed":true,"run_id":"wf-e1e459320dd7","agent_id":"a","reason":null,"claim_token":2,"claim_expires_at":1700000005.0}
advance 5s
sweep
  removed 2
call workflow_discover {"claimable": true}
  {"runs":[{"run_id":"wf-e1e459320dd7","name":"a","status":"created","tags":{},"agent_id":null,"last_step":0,"next_step":0,"steps":0,"created_at":1700000000.0,"updated_at":1700000005.0,"priority":0,"attempts":1,"max_attempts":1,"max_lapses":20,"ready_at":1700000005.0,"error":"the claim of 'a' lapsed in attempt 1 of 20"}]}
call workflow_heartbeat {"run_id": "$run.run_id", "agent_id": "a", "claim_token": "$mine.claim_token"}
  {"ok":false,"run_id":"wf-e1e459320dd7","status":"created","reason":"claim_token 2 is no longer current"}
call workflow_claim_next {"agent_id": "b"}
  {"claimed":true,"run_id":"wf-e1e459320dd7","agent_id":"b","reason":null,"claim_token":4,"claim_expires_at":1700000305.0}
call workflow_discover {"claimable": true}
  {"runs":[]}
