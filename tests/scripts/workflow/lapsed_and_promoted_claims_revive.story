# A claim that has lapsed is offered to others. A heartbeat of its holder takes the
# offer back, even after a sweep.

let run = call workflow_create {"name": "a"}
  {"run_id":"wf-e1e459320dd7","name":"a","status":"created"}
let mine = call workflow_claim {"run_id": "$run.run_id", "agent_id": "a", "claim_ttl_seconds": 5}
  {"claimed":true,"run_id":"wf-e1e459320dd7","agent_id":"a","reason":null,"claim_token":2,"claim_expires_at":1700000005.0}
advance 5s
sweep
  removed 1
call workflow_discover {"claimable": true}
  {"runs":[{"run_id":"wf-e1e459320dd7","name":"a","status":"claimed","tags":{},"agent_id":"a","last_step":0,"created_at":1700000000.0,"updated_at":1700000000.0,"priority":0,"attempts":1,"max_attempts":1,"claim_expires_at":1700000005.0}]}
call workflow_heartbeat {"run_id": "$run.run_id", "agent_id": "a", "claim_token": "$mine.claim_token"}
  {"ok":true,"run_id":"wf-e1e459320dd7","status":"claimed","claim_expires_at":1700000010.0}
call workflow_claim_next {"agent_id": "b"}
  {"claimed":false,"run_id":null,"agent_id":null,"reason":"No workflow is claimable","claim_token":null,"claim_expires_at":null}
call workflow_discover {"claimable": true}
  {"runs":[]}
