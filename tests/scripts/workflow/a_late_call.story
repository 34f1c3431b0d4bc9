# A call of an earlier attempt is refused, whether it names a token, an agent or neither, and
# the run stays there for the next one.

let run = call workflow_create {"name": "n", "max_attempts": 3}
  {"run_id":"wf-e1e459320dd7","name":"n","status":"created"}
let claim = call workflow_claim {"run_id": "$run.run_id", "agent_id": "w1"}
  {"claimed":true,"run_id":"wf-e1e459320dd7","agent_id":"w1","reason":null,"claim_token":2,"claim_expires_at":1700000300.0}
call workflow_release {"run_id": "$run.run_id", "agent_id": "w1", "claim_token": $claim.claim_token}
  {"ok":true,"run_id":"wf-e1e459320dd7","status":"created"}
call workflow_checkpoint {"run_id": "$run.run_id", "step": 1, "output": 1}
  {"ok":false,"run_id":"wf-e1e459320dd7","step":1,"last_step":0,"next_step":0,"steps":0,"reason":"Workflow is in status 'created' (agent: None); it was claimed before, so name agent_id or claim_token"}
call workflow_checkpoint {"run_id": "$run.run_id", "step": 1, "output": 1, "agent_id": "w1"}
  {"ok":false,"run_id":"wf-e1e459320dd7","step":1,"last_step":0,"next_step":0,"steps":0,"reason":"Workflow is in status 'created' and not claimed by 'w1'"}
call workflow_checkpoint {"run_id": "$run.run_id", "step": 1, "output": 1, "claim_token": $claim.claim_token}
  {"ok":false,"run_id":"wf-e1e459320dd7","step":1,"last_step":0,"next_step":0,"steps":0,"reason":"claim_token 2 is no longer current"}
call workflow_complete {"run_id": "$run.run_id"}
  {"ok":false,"run_id":"wf-e1e459320dd7","status":"created","reason":"Workflow is in status 'created' (agent: None); it was claimed before, so name agent_id or claim_token"}
let claim = call workflow_claim_next {"agent_id": "w2"}
  {"claimed":true,"run_id":"wf-e1e459320dd7","agent_id":"w2","reason":null,"claim_token":4,"claim_expires_at":1700000300.0}
call workflow_fail {"run_id": "$run.run_id", "error": "broken", "claim_token": $claim.claim_token}
  {"ok":true,"run_id":"wf-e1e459320dd7","status":"created"}
call workflow_checkpoint {"run_id": "$run.run_id", "step": 1, "output": 1}
  {"ok":false,"run_id":"wf-e1e459320dd7","step":1,"last_step":0,"next_step":0,"steps":0,"reason":"Workflow is in status 'created' (agent: None); it was claimed before, so name agent_id or claim_token"}
call workflow_discover {"status": "created"}
  {"runs":[{"run_id":"wf-e1e459320dd7","name":"n","status":"created","tags":{},"agent_id":null,"last_step":0,"next_step":0,"steps":0,"created_at":1700000000.0,"updated_at":1700000000.0,"priority":0,"attempts":1,"max_attempts":3,"ready_at":1700000000.682,"error":"broken"}]}
