# A checkpoint asks a person. The run waits with its claim, however long that takes, and
# the answer is to the question that was read.

let run = call workflow_create {"name": "deploy", "max_attempts": 1}
  {"run_id":"wf-e1e459320dd7","name":"deploy","status":"created"}
let claim = call workflow_claim {"run_id": "$run.run_id", "agent_id": "w1", "claim_ttl_seconds": 60}
  {"claimed":true,"run_id":"wf-e1e459320dd7","agent_id":"w1","reason":null,"claim_token":2,"claim_expires_at":1700000060.0}
call workflow_checkpoint {"run_id": "$run.run_id", "step": 0, "output": "built", "agent_id": "w1", "claim_token": $claim.claim_token, "await_approval": {"question": "Deploy to production?", "options": ["yes", "no"]}}
  {"ok":true,"run_id":"wf-e1e459320dd7","step":0,"last_step":0,"next_step":1,"steps":1}
advance 3600s
call workflow_status {"run_id": "$run.run_id"}
  {"run_id":"wf-e1e459320dd7","name":"deploy","status":"awaiting_approval","tags":{},"agent_id":"w1","last_step":0,"next_step":1,"steps":1,"created_at":1700000000.0,"updated_at":1700000000.0,"priority":0,"attempts":1,"max_attempts":1,"approval":{"question":"Deploy to production?","options":["yes","no"],"digest":"753e5a4689398a73e308f7e784763c589cbadaf906b562c8ee5ea52ee8c2149f"}}
call workflow_discover {"status": "awaiting_approval"}
  {"runs":[{"run_id":"wf-e1e459320dd7","name":"deploy","status":"awaiting_approval","tags":{},"agent_id":"w1","last_step":0,"next_step":1,"steps":1,"created_at":1700000000.0,"updated_at":1700000000.0,"priority":0,"attempts":1,"max_attempts":1,"approval":{"question":"Deploy to production?","options":["yes","no"],"digest":"753e5a4689398a73e308f7e784763c589cbadaf906b562c8ee5ea52ee8c2149f"}}]}
call workflow_claim_next {"agent_id": "w2"}
  {"claimed":false,"run_id":null,"agent_id":null,"reason":"No workflow is claimable","claim_token":null,"claim_expires_at":null}
call workflow_claim {"run_id": "$run.run_id", "agent_id": "w2"}
  {"claimed":false,"run_id":"wf-e1e459320dd7","agent_id":null,"reason":"Workflow is in status 'awaiting_approval' (agent: w1)","claim_token":null,"claim_expires_at":null}
call workflow_complete {"run_id": "$run.run_id", "claim_token": $claim.claim_token}
  {"ok":false,"run_id":"wf-e1e459320dd7","status":"awaiting_approval","reason":"Workflow is in status 'awaiting_approval'; workflow_decide answers"}
call workflow_heartbeat {"run_id": "$run.run_id", "agent_id": "w1", "claim_token": $claim.claim_token}
  {"ok":true,"run_id":"wf-e1e459320dd7","status":"awaiting_approval"}
call workflow_decide {"run_id": "$run.run_id", "answer": "perhaps"}
  error invalid_argument: answer must be one of 'yes', 'no', not 'perhaps'
call workflow_decide {"run_id": "$run.run_id", "answer": "yes", "digest": "0"}
  {"ok":false,"run_id":"wf-e1e459320dd7","status":"awaiting_approval","reason":"digest: the question is another one; read it again"}
call workflow_decide {"run_id": "$run.run_id", "answer": "yes", "comment": "after lunch", "digest": "753e5a4689398a73e308f7e784763c589cbadaf906b562c8ee5ea52ee8c2149f", "agent_id": "boss"}
  {"ok":true,"run_id":"wf-e1e459320dd7","status":"running","claim_expires_at":1700003660.0}
call workflow_decide {"run_id": "$run.run_id", "answer": "no", "agent_id": "boss"}
  {"ok":false,"run_id":"wf-e1e459320dd7","status":"running","reason":"Workflow is in status 'running' (agent: w1); it waits for no decision"}
call workflow_status {"run_id": "$run.run_id"}
  {"run_id":"wf-e1e459320dd7","name":"deploy","status":"running","tags":{},"agent_id":"w1","last_step":0,"next_step":1,"steps":1,"created_at":1700000000.0,"updated_at":1700003600.0,"priority":0,"attempts":1,"max_attempts":1,"claim_expires_at":1700003660.0,"approval":{"question":"Deploy to production?","options":["yes","no"],"digest":"753e5a4689398a73e308f7e784763c589cbadaf906b562c8ee5ea52ee8c2149f","decision":"answered","answer":"yes","comment":"after lunch","decided_by":"boss"}}
call history_log {"key": "workflow:$run.run_id", "action": "workflow_decide"}
  {"entries":[{"id":5,"key":"workflow:wf-e1e459320dd7","new_value":{"status":"running","agent_id":"w1","claim_token":2,"claim_expires_at":1700003660.000,"approval":{"digest":"753e5a4689398a73e308f7e784763c589cbadaf906b562c8ee5ea52ee8c2149f","decision":"answered","answer":"yes","decided_by":"boss","comment":"after lunch"}},"previous_value":{"status":"awaiting_approval","agent_id":"w1","claim_token":2,"claim_expires_at":1700000060.000,"approval":{"digest":"753e5a4689398a73e308f7e784763c589cbadaf906b562c8ee5ea52ee8c2149f","question":"Deploy to production?","options":["yes","no"]}},"agent_id":"boss","written_at":1700003600.0,"action":"workflow_decide","revision":5,"chain":"052db94247d4114441a8edf299f780d856d13b2f8df12e0737dddf9d85217629"}],"total":1}
call workflow_complete {"run_id": "$run.run_id", "claim_token": $claim.claim_token}
  {"ok":true,"run_id":"wf-e1e459320dd7","status":"done"}
