# A run whose workers fall silent again and again waits longer each time, so that other
# work has its turn.

let bad = call workflow_create {"name": "bad", "max_attempts": 9}
  {"run_id":"wf-e1e459320dd7","name":"bad","status":"created"}
let good = call workflow_create {"name": "good"}
  {"run_id":"wf-3cd7f43c661c","name":"good","status":"created"}
call workflow_claim_next {"agent_id": "w1", "claim_ttl_seconds": 1}
  {"claimed":true,"run_id":"wf-e1e459320dd7","agent_id":"w1","reason":null,"claim_token":3,"claim_expires_at":1700000001.0}
advance 1s
call workflow_claim_next {"agent_id": "w2", "claim_ttl_seconds": 1}
  {"claimed":true,"run_id":"wf-e1e459320dd7","agent_id":"w2","reason":null,"claim_token":5,"claim_expires_at":1700000002.0}
advance 1s
call workflow_claim_next {"agent_id": "w3", "claim_ttl_seconds": 60}
  {"claimed":true,"run_id":"wf-3cd7f43c661c","agent_id":"w3","reason":null,"claim_token":6,"claim_expires_at":1700000062.0}
call workflow_status {"run_id": "$bad.run_id"}
  {"run_id":"wf-e1e459320dd7","name":"bad","status":"created","tags":{},"agent_id":null,"last_step":0,"next_step":0,"steps":0,"created_at":1700000000.0,"updated_at":1700000001.0,"priority":0,"attempts":2,"max_attempts":9,"ready_at":1700000002.682,"error":"the claim of 'w2' lapsed in attempt 2 of 9"}
