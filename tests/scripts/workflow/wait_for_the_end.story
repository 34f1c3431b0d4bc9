# A call waits for the end of a run, and says how it has ended.

let run = call workflow_create {"name": "n"}
  {"run_id":"wf-e1e459320dd7","name":"n","status":"created"}
call workflow_wait {"run_id": "$run.run_id", "wait_seconds": 0}
  {"changed":false,"run_id":"wf-e1e459320dd7","status":"created","last_step":0,"next_step":0}
start waiting call workflow_wait {"run_id": "$run.run_id", "wait_seconds": 10}
let claim = call workflow_claim {"run_id": "$run.run_id", "agent_id": "w"}
  {"claimed":true,"run_id":"wf-e1e459320dd7","agent_id":"w","reason":null,"claim_token":2,"claim_expires_at":1700000300.0}
call workflow_checkpoint {"run_id": "$run.run_id", "step": 1, "output": 1, "claim_token": $claim.claim_token}
  {"ok":true,"run_id":"wf-e1e459320dd7","step":1,"last_step":1,"next_step":2,"steps":1}
call workflow_complete {"run_id": "$run.run_id", "result": {"rows": 7}, "claim_token": $claim.claim_token}
  {"ok":true,"run_id":"wf-e1e459320dd7","status":"done"}
join waiting
  {"changed":true,"run_id":"wf-e1e459320dd7","status":"done","last_step":1,"next_step":2,"result":{"rows":7}}
call workflow_wait {"run_id": "$run.run_id"}
  {"changed":true,"run_id":"wf-e1e459320dd7","status":"done","last_step":1,"next_step":2,"result":{"rows":7}}
