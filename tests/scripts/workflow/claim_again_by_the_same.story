# An agent that claims again gets its own claim again, with a new deadline.

let run = call workflow_create {"name": "n"}
  {"run_id":"wf-e1e459320dd7","name":"n","status":"created"}
call workflow_claim {"run_id": "$run.run_id", "agent_id": "w1", "claim_ttl_seconds": 60}
  {"claimed":true,"run_id":"wf-e1e459320dd7","agent_id":"w1","reason":null,"claim_token":2,"claim_expires_at":1700000060.0}
advance 30s
call workflow_claim {"run_id": "$run.run_id", "agent_id": "w1", "claim_ttl_seconds": 60}
  {"claimed":true,"run_id":"wf-e1e459320dd7","agent_id":"w1","reason":null,"claim_token":2,"claim_expires_at":1700000090.0}
call workflow_status {"run_id": "$run.run_id"}
  {"run_id":"wf-e1e459320dd7","name":"n","status":"claimed","tags":{},"agent_id":"w1","last_step":0,"next_step":0,"steps":0,"created_at":1700000000.0,"updated_at":1700000030.0,"priority":0,"attempts":1,"max_attempts":1,"max_lapses":20,"claim_expires_at":1700000090.0}
