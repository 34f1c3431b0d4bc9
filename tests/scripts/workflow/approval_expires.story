# A question that nobody answers in time is decided too, and the run goes on. If its agent
# has gone meanwhile, that is no failed attempt.

let run = call workflow_create {"name": "deploy", "max_attempts": 1}
  {"run_id":"wf-e1e459320dd7","name":"deploy","status":"created"}
let claim = call workflow_claim {"run_id": "$run.run_id", "agent_id": "w1", "claim_ttl_seconds": 60}
  {"claimed":true,"run_id":"wf-e1e459320dd7","agent_id":"w1","reason":null,"claim_token":2,"claim_expires_at":1700000060.0}
call workflow_checkpoint {"run_id": "$run.run_id", "step": 0, "output": "built", "agent_id": "w1", "await_approval": {"question": "Deploy?", "expires_seconds": 600}}
  {"ok":true,"run_id":"wf-e1e459320dd7","step":0,"last_step":0,"next_step":1,"steps":1}
advance 600s
call workflow_status {"run_id": "$run.run_id"}
  {"run_id":"wf-e1e459320dd7","name":"deploy","status":"running","tags":{},"agent_id":"w1","last_step":0,"next_step":1,"steps":1,"created_at":1700000000.0,"updated_at":1700000000.0,"priority":0,"attempts":1,"max_attempts":1,"claim_expires_at":1700000660.0,"approval":{"question":"Deploy?","digest":"e31760b4f89c9adb295d0af0a916f11c7020e9b10dff5e620d3a6de6239eead7","decision":"expired"}}
call workflow_discover {"status": "running"}
  {"runs":[{"run_id":"wf-e1e459320dd7","name":"deploy","status":"running","tags":{},"agent_id":"w1","last_step":0,"next_step":1,"steps":1,"created_at":1700000000.0,"updated_at":1700000000.0,"priority":0,"attempts":1,"max_attempts":1,"claim_expires_at":1700000660.0,"approval":{"question":"Deploy?","digest":"e31760b4f89c9adb295d0af0a916f11c7020e9b10dff5e620d3a6de6239eead7","decision":"expired"}}]}
call workflow_decide {"run_id": "$run.run_id", "answer": "yes"}
  {"ok":false,"run_id":"wf-e1e459320dd7","status":"running","reason":"Workflow is in status 'running' (agent: w1); it waits for no decision"}
advance 60s
call workflow_claim_next {"agent_id": "w2"}
  {"claimed":true,"run_id":"wf-e1e459320dd7","agent_id":"w2","reason":null,"claim_token":6,"claim_expires_at":1700000960.0}
call workflow_status {"run_id": "$run.run_id"}
  {"run_id":"wf-e1e459320dd7","name":"deploy","status":"claimed","tags":{},"agent_id":"w2","last_step":0,"next_step":1,"steps":1,"created_at":1700000000.0,"updated_at":1700000660.0,"priority":0,"attempts":1,"max_attempts":1,"claim_expires_at":1700000960.0,"approval":{"question":"Deploy?","digest":"e31760b4f89c9adb295d0af0a916f11c7020e9b10dff5e620d3a6de6239eead7","decision":"expired"}}
