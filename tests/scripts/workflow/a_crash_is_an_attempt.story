# A worker that falls silent has used up an attempt, and after the last one the run has
# failed, with the reason.

let run = call workflow_create {"name": "n", "max_attempts": 1}
  {"run_id":"wf-e1e459320dd7","name":"n","status":"created"}
let claim = call workflow_claim {"run_id": "$run.run_id", "agent_id": "w1", "claim_ttl_seconds": 5}
  {"claimed":true,"run_id":"wf-e1e459320dd7","agent_id":"w1","reason":null,"claim_token":2,"claim_expires_at":1700000005.0}
advance 5s
call workflow_claim_next {"agent_id": "w2"}
  {"claimed":false,"run_id":null,"agent_id":null,"reason":"No workflow is claimable","claim_token":null,"claim_expires_at":null}
call workflow_claim {"run_id": "$run.run_id", "agent_id": "w2"}
  {"claimed":false,"run_id":"wf-e1e459320dd7","agent_id":null,"reason":"Workflow is in status 'failed' (agent: w1)","claim_token":null,"claim_expires_at":null}
call workflow_discover {"status": "failed"}
  {"runs":[{"run_id":"wf-e1e459320dd7","name":"n","status":"failed","tags":{},"agent_id":"w1","last_step":0,"next_step":0,"steps":0,"created_at":1700000000.0,"updated_at":1700000005.0,"priority":0,"attempts":1,"max_attempts":1,"expires_at":1700001805.0,"error":"the claim of 'w1' lapsed in attempt 1 of 1"}]}
call workflow_complete {"run_id": "$run.run_id", "claim_token": $claim.claim_token}
  {"ok":false,"run_id":"wf-e1e459320dd7","status":"failed","reason":"Workflow is in status 'failed' (agent: w1)"}
sweep
  removed 0
call history_log {"key": "workflow:$run.run_id", "n": 1}
  {"entries":[{"id":3,"key":"workflow:wf-e1e459320dd7","new_value":{"status":"failed","agent_id":"w1","claim_token":2,"error":"the claim of 'w1' lapsed in attempt 1 of 1"},"previous_value":{"status":"claimed","agent_id":"w1","claim_token":2,"claim_expires_at":1700000005.000},"agent_id":null,"written_at":1700000005.0,"action":"workflow_fail","revision":3,"chain":"9fe37ef7aab33bdd130db38dab2e8a51913f64b8da391723d45ed88023b0b977"}],"total":1,"next_before_id":3,"remaining":2}
