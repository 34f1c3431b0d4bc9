# Whoever comes second learns that the run has ended, and with what.

let run = call workflow_create {"name": "n"}
  {"run_id":"wf-e1e459320dd7","name":"n","status":"created"}
let claim = call workflow_claim {"run_id": "$run.run_id", "agent_id": "w1"}
  {"claimed":true,"run_id":"wf-e1e459320dd7","agent_id":"w1","reason":null,"claim_token":2,"claim_expires_at":1700000300.0}
call workflow_complete {"run_id": "$run.run_id", "result": "theirs"}
  {"ok":true,"run_id":"wf-e1e459320dd7","status":"done"}
call workflow_complete {"run_id": "$run.run_id", "result": "mine", "agent_id": "w1", "claim_token": $claim.claim_token}
  {"ok":false,"run_id":"wf-e1e459320dd7","status":"done","reason":"Workflow is in status 'done' (agent: w1)","result":"theirs"}
call workflow_fail {"run_id": "$run.run_id", "error": "late", "agent_id": "w1"}
  {"ok":false,"run_id":"wf-e1e459320dd7","status":"done","reason":"Workflow is in status 'done' (agent: w1)","result":"theirs"}
