# When a claim lapses, another agent takes over with a higher token and finds every
# step, and its predecessor can no longer write.

let run = call workflow_create {"name": "n"}
  {"run_id":"wf-e1e459320dd7","name":"n","status":"created"}
let old = call workflow_claim {"run_id": "$run.run_id", "agent_id": "w1", "claim_ttl_seconds": 10}
  {"claimed":true,"run_id":"wf-e1e459320dd7","agent_id":"w1","reason":null,"claim_token":2,"claim_expires_at":1700000010.0}
call workflow_checkpoint {"run_id": "$run.run_id", "step": 1, "output": "one", "claim_token": $old.claim_token}
  {"ok":true,"run_id":"wf-e1e459320dd7","step":1,"last_step":1,"next_step":2,"steps":1}
advance 9.999s
call workflow_claim {"run_id": "$run.run_id", "agent_id": "w2"}
  {"claimed":false,"run_id":"wf-e1e459320dd7","agent_id":null,"reason":"Workflow is in status 'running' (agent: w1)","claim_token":null,"claim_expires_at":null}
advance 0.001s
let new = call workflow_claim {"run_id": "$run.run_id", "agent_id": "w2", "claim_ttl_seconds": 10}
  {"claimed":true,"run_id":"wf-e1e459320dd7","agent_id":"w2","reason":null,"claim_token":5,"claim_expires_at":1700000020.0}
call workflow_resume {"run_id": "$run.run_id"}
  {"run_id":"wf-e1e459320dd7","last_step":1,"step_outputs":{"1":"one"},"meta":{"run_id":"wf-e1e459320dd7","name":"n","status":"claimed","tags":{},"agent_id":"w2","last_step":1,"next_step":2,"steps":1,"created_at":1700000000.0,"updated_at":1700000010.0,"priority":0,"attempts":2,"max_attempts":1,"max_lapses":20,"claim_expires_at":1700000020.0,"error":"the claim of 'w1' lapsed in attempt 1 of 20"}}
call workflow_checkpoint {"run_id": "$run.run_id", "step": 2, "output": "late", "claim_token": $old.claim_token}
  {"ok":false,"run_id":"wf-e1e459320dd7","step":2,"last_step":1,"next_step":2,"steps":1,"reason":"claim_token 2 is no longer current"}
call workflow_checkpoint {"run_id": "$run.run_id", "step": 2, "output": "late", "agent_id": "w1"}
  {"ok":false,"run_id":"wf-e1e459320dd7","step":2,"last_step":1,"next_step":2,"steps":1,"reason":"Workflow is in status 'claimed' (agent: w2)"}
call workflow_heartbeat {"run_id": "$run.run_id", "agent_id": "w1", "claim_token": $old.claim_token}
  {"ok":false,"run_id":"wf-e1e459320dd7","status":"claimed","reason":"claim_token 2 is no longer current"}
call workflow_complete {"run_id": "$run.run_id", "claim_token": $old.claim_token}
  {"ok":false,"run_id":"wf-e1e459320dd7","status":"claimed","reason":"claim_token 2 is no longer current"}
call workflow_fail {"run_id": "$run.run_id", "error": "late", "claim_token": $old.claim_token}
  {"ok":false,"run_id":"wf-e1e459320dd7","status":"claimed","reason":"claim_token 2 is no longer current"}
call workflow_release {"run_id": "$run.run_id", "agent_id": "w1", "claim_token": $old.claim_token}
  {"ok":false,"run_id":"wf-e1e459320dd7","status":"claimed","reason":"claim_token 2 is no longer current"}
call workflow_checkpoint {"run_id": "$run.run_id", "step": 2, "output": "two", "claim_token": $new.claim_token}
  {"ok":true,"run_id":"wf-e1e459320dd7","step":2,"last_step":2,"next_step":3,"steps":2}
