# A run can have a deadline of its own, and a time within which somebody must begin.

let slow = call workflow_create {"name": "slow", "deadline_seconds": 60}
  {"run_id":"wf-e1e459320dd7","name":"slow","status":"created"}
let claimed = call workflow_create {"name": "claimed", "deadline_seconds": 60, "deadline_from": "claim"}
  {"run_id":"wf-3cd7f43c661c","name":"claimed","status":"created"}
let waiting = call workflow_create {"name": "waiting", "start_within_seconds": 30}
  {"run_id":"wf-4080bab12a02","name":"waiting","status":"created"}
let claim = call workflow_claim {"run_id": "$slow.run_id", "agent_id": "w1"}
  {"claimed":true,"run_id":"wf-e1e459320dd7","agent_id":"w1","reason":null,"claim_token":4,"claim_expires_at":1700000300.0}
advance 30s
call workflow_claim {"run_id": "$waiting.run_id", "agent_id": "w1"}
  {"claimed":false,"run_id":"wf-4080bab12a02","agent_id":null,"reason":"Workflow is in status 'failed' (agent: None)","claim_token":null,"claim_expires_at":null}
call workflow_claim {"run_id": "$claimed.run_id", "agent_id": "w2"}
  {"claimed":true,"run_id":"wf-3cd7f43c661c","agent_id":"w2","reason":null,"claim_token":6,"claim_expires_at":1700000330.0}
advance 30s
call workflow_checkpoint {"run_id": "$slow.run_id", "step": 0, "output": 0, "claim_token": $claim.claim_token}
  {"ok":false,"run_id":"wf-e1e459320dd7","step":0,"last_step":0,"next_step":0,"steps":0,"reason":"Workflow is in status 'failed' (agent: w1)"}
call workflow_status {"run_id": "$claimed.run_id"}
  {"run_id":"wf-3cd7f43c661c","name":"claimed","status":"claimed","tags":{},"agent_id":"w2","last_step":0,"next_step":0,"steps":0,"created_at":1700000000.0,"updated_at":1700000030.0,"priority":0,"attempts":1,"max_attempts":1,"max_lapses":20,"claim_expires_at":1700000330.0,"deadline_at":1700000090.0}
call workflow_discover {"status": "failed"}
  {"runs":[{"run_id":"wf-4080bab12a02","name":"waiting","status":"failed","tags":{},"agent_id":null,"last_step":0,"next_step":0,"steps":0,"created_at":1700000000.0,"updated_at":1700000030.0,"priority":0,"attempts":0,"max_attempts":1,"max_lapses":20,"expires_at":1700001830.0,"error":"nobody claimed the run in time"},{"run_id":"wf-e1e459320dd7","name":"slow","status":"failed","tags":{},"agent_id":"w1","last_step":0,"next_step":0,"steps":0,"created_at":1700000000.0,"updated_at":1700000060.0,"priority":0,"attempts":1,"max_attempts":1,"max_lapses":20,"expires_at":1700001860.0,"error":"the deadline of the run has passed"}]}
