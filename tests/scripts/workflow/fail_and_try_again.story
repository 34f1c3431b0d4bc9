# While attempts remain a failed run is claimable again, after a pause that doubles and
# that differs a little from run to run.

let run = call workflow_create {"name": "n", "max_attempts": 3}
  {"run_id":"wf-e1e459320dd7","name":"n","status":"created"}
let claim = call workflow_claim {"run_id": "$run.run_id", "agent_id": "w1"}
  {"claimed":true,"run_id":"wf-e1e459320dd7","agent_id":"w1","reason":null,"claim_token":2,"claim_expires_at":1700000300.0}
call workflow_fail {"run_id": "$run.run_id", "error": "first", "claim_token": $claim.claim_token}
  {"ok":true,"run_id":"wf-e1e459320dd7","status":"created"}
call workflow_claim {"run_id": "$run.run_id", "agent_id": "w2"}
  {"claimed":false,"run_id":"wf-e1e459320dd7","agent_id":null,"reason":"Workflow is not ready before 1700000000.682","claim_token":null,"claim_expires_at":null}
advance 1s
let claim = call workflow_claim {"run_id": "$run.run_id", "agent_id": "w2"}
  {"claimed":true,"run_id":"wf-e1e459320dd7","agent_id":"w2","reason":null,"claim_token":4,"claim_expires_at":1700000301.0}
call workflow_fail {"run_id": "$run.run_id", "error": "second", "claim_token": $claim.claim_token}
  {"ok":true,"run_id":"wf-e1e459320dd7","status":"created"}
advance 1.196s
call workflow_claim_next {"agent_id": "w3"}
  {"claimed":false,"run_id":null,"agent_id":null,"reason":"No workflow is claimable","claim_token":null,"claim_expires_at":null}
advance 0.001s
let claim = call workflow_claim_next {"agent_id": "w3"}
  {"claimed":true,"run_id":"wf-e1e459320dd7","agent_id":"w3","reason":null,"claim_token":6,"claim_expires_at":1700000302.197}
call workflow_fail {"run_id": "$run.run_id", "error": "third", "claim_token": $claim.claim_token}
  {"ok":true,"run_id":"wf-e1e459320dd7","status":"failed"}
call workflow_status {"run_id": "$run.run_id"}
  {"run_id":"wf-e1e459320dd7","name":"n","status":"failed","tags":{},"agent_id":"w3","last_step":0,"next_step":0,"steps":0,"created_at":1700000000.0,"updated_at":1700000002.197,"priority":0,"attempts":3,"max_attempts":3,"expires_at":1700001802.197,"error":"third"}
call history_log {"key": "workflow:$run.run_id", "action": "workflow_retry"}
  {"entries":[{"id":5,"key":"workflow:wf-e1e459320dd7","new_value":{"status":"created","ready_at":1700000002.197,"error":"second"},"previous_value":{"status":"claimed","agent_id":"w2","claim_token":4,"claim_expires_at":1700000301.000,"error":"first"},"agent_id":null,"written_at":1700000001.0,"action":"workflow_retry","revision":5,"chain":"3af61838bef7cc33ed25b59df115b76dd7d53243a9808c88644b9e5a906eb21e"},{"id":3,"key":"workflow:wf-e1e459320dd7","new_value":{"status":"created","ready_at":1700000000.682,"error":"first"},"previous_value":{"status":"claimed","agent_id":"w1","claim_token":2,"claim_expires_at":1700000300.000},"agent_id":null,"written_at":1700000000.0,"action":"workflow_retry","revision":3,"chain":"5875c279b7d52a7c96694e16db5c6d24785cbb29fba647c39eaee8c3e21a6287"}],"total":2}
