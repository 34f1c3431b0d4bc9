# Completing a run again with the same result does no harm. With another token or another
# result it is refused, and tells with what the run has ended.

let run = call workflow_create {"name": "n"}
  {"run_id":"wf-e1e459320dd7","name":"n","status":"created"}
let claim = call workflow_claim {"run_id": "$run.run_id", "agent_id": "w1"}
  {"claimed":true,"run_id":"wf-e1e459320dd7","agent_id":"w1","reason":null,"claim_token":2,"claim_expires_at":1700000300.0}
call workflow_complete {"run_id": "$run.run_id", "result": 1, "claim_token": $claim.claim_token}
  {"ok":true,"run_id":"wf-e1e459320dd7","status":"done"}
call workflow_complete {"run_id": "$run.run_id", "result": 1, "claim_token": $claim.claim_token}
  {"ok":true,"run_id":"wf-e1e459320dd7","status":"done"}
call workflow_complete {"run_id": "$run.run_id", "result": 1}
  {"ok":true,"run_id":"wf-e1e459320dd7","status":"done"}
call workflow_complete {"run_id": "$run.run_id", "result": 2}
  {"ok":false,"run_id":"wf-e1e459320dd7","status":"done","reason":"Workflow is in status 'done' (agent: w1)","result":1}
call workflow_complete {"run_id": "$run.run_id", "claim_token": 99}
  {"ok":false,"run_id":"wf-e1e459320dd7","status":"done","reason":"Workflow is in status 'done' (agent: w1)","result":1}
call workflow_claim {"run_id": "$run.run_id", "agent_id": "w2"}
  {"claimed":false,"run_id":"wf-e1e459320dd7","agent_id":null,"reason":"Workflow is in status 'done' (agent: w1)","claim_token":null,"claim_expires_at":null}
call workflow_complete {"run_id": "wf-none"}
  error not_found: Workflow 'wf-none' not found
