# A run goes from created to done, and every step is kept.

let run = call workflow_create {"name": "etl", "tags": {"team": "data"}, "input": {"rows": 10}}
  {"run_id":"wf-e1e459320dd7","name":"etl","status":"created"}
call workflow_status {"run_id": "$run.run_id"}
  {"run_id":"wf-e1e459320dd7","name":"etl","status":"created","tags":{"team":"data"},"agent_id":null,"last_step":0,"next_step":0,"steps":0,"created_at":1700000000.0,"updated_at":1700000000.0,"priority":0,"attempts":0,"max_attempts":1,"max_lapses":20,"input":{"rows":10}}
let claim = call workflow_claim {"run_id": "$run.run_id", "agent_id": "w1"}
  {"claimed":true,"run_id":"wf-e1e459320dd7","agent_id":"w1","reason":null,"claim_token":2,"claim_expires_at":1700000300.0}
advance 1s
call workflow_checkpoint {"run_id": "$run.run_id", "step": 1, "output": {"rows": 10}, "claim_token": $claim.claim_token}
  {"ok":true,"run_id":"wf-e1e459320dd7","step":1,"last_step":1,"next_step":2,"steps":1}
call workflow_checkpoint {"run_id": "$run.run_id", "step": 2, "output": "two", "agent_id": "w1", "claim_token": $claim.claim_token}
  {"ok":true,"run_id":"wf-e1e459320dd7","step":2,"last_step":2,"next_step":3,"steps":2}
call workflow_resume {"run_id": "$run.run_id"}
  {"run_id":"wf-e1e459320dd7","last_step":2,"step_outputs":{"1":{"rows":10},"2":"two"},"meta":{"run_id":"wf-e1e459320dd7","name":"etl","status":"running","tags":{"team":"data"},"agent_id":"w1","last_step":2,"next_step":3,"steps":2,"created_at":1700000000.0,"updated_at":1700000001.0,"priority":0,"attempts":1,"max_attempts":1,"max_lapses":20,"claim_expires_at":1700000301.0,"input":{"rows":10}}}
call workflow_complete {"run_id": "$run.run_id", "result": [1, 2], "claim_token": $claim.claim_token}
  {"ok":true,"run_id":"wf-e1e459320dd7","status":"done"}
call workflow_status {"run_id": "$run.run_id"}
  {"run_id":"wf-e1e459320dd7","name":"etl","status":"done","tags":{"team":"data"},"agent_id":"w1","last_step":2,"next_step":3,"steps":2,"created_at":1700000000.0,"updated_at":1700000001.0,"priority":0,"attempts":1,"max_attempts":1,"max_lapses":20,"expires_at":1700001801.0,"input":{"rows":10},"result":[1,2]}
