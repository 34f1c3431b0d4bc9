# The oldest is the run that has waited longest since it could be claimed, not the one
# that was created first. A sweep changes nothing about it.

let busy = call workflow_create {"name": "n", "priority": 9}
  {"run_id":"wf-e1e459320dd7","name":"n","status":"created"}
let low = call workflow_create {"name": "n"}
  {"run_id":"wf-3cd7f43c661c","name":"n","status":"created"}
let late = call workflow_create {"name": "later", "delay_seconds": 90}
  {"run_id":"wf-4080bab12a02","name":"later","status":"created"}
advance 60s
let claim = call workflow_claim_next {"agent_id": "w", "name": "n"}
  {"claimed":true,"run_id":"wf-e1e459320dd7","agent_id":"w","reason":null,"claim_token":4,"claim_expires_at":1700000360.0}
call workflow_release {"run_id": "$busy.run_id", "agent_id": "w", "claim_token": $claim.claim_token}
  {"ok":true,"run_id":"wf-e1e459320dd7","status":"created"}
call workflow_stats {}
  {"stats":[{"name":"later","counts":{"created":1},"last_5_minutes":{"created":1,"claimed":0,"completed":0,"failed":0}},{"name":"n","counts":{"created":2},"oldest_waiting":{"run_id":"wf-3cd7f43c661c","waiting_since":1700000000.0},"last_5_minutes":{"created":2,"claimed":1,"completed":0,"failed":0}}]}
advance 60s
call workflow_stats {"name": "later"}
  {"stats":[{"name":"later","counts":{"created":1},"oldest_waiting":{"run_id":"wf-4080bab12a02","waiting_since":1700000090.0},"last_5_minutes":{"created":1,"claimed":0,"completed":0,"failed":0}}]}
sweep
  removed 1
call workflow_stats {"name": "later"}
  {"stats":[{"name":"later","counts":{"created":1},"oldest_waiting":{"run_id":"wf-4080bab12a02","waiting_since":1700000090.0},"last_5_minutes":{"created":1,"claimed":0,"completed":0,"failed":0}}]}
call workflow_claim {"run_id": "$low.run_id", "agent_id": "w"}
  {"claimed":true,"run_id":"wf-3cd7f43c661c","agent_id":"w","reason":null,"claim_token":6,"claim_expires_at":1700000420.0}
call workflow_stats {"name": "n"}
  {"stats":[{"name":"n","counts":{"created":1,"claimed":1},"oldest_waiting":{"run_id":"wf-e1e459320dd7","waiting_since":1700000060.0},"last_5_minutes":{"created":2,"claimed":2,"completed":0,"failed":0}}]}
