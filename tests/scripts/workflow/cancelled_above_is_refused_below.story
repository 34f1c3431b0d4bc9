# After a run is cancelled, every call on a run below it is refused.

let top = call workflow_create {"name": "top"}
  {"run_id":"wf-e1e459320dd7","name":"top","status":"created"}
let low = call workflow_create {"name": "low", "parent_run_id": "$top.run_id"}
  {"run_id":"wf-3cd7f43c661c","name":"low","status":"created"}
call workflow_cancel {"run_id": "$top.run_id"}
  {"ok":true,"run_id":"wf-e1e459320dd7","status":"cancelled"}
call workflow_claim {"run_id": "$low.run_id", "agent_id": "a"}
  {"claimed":false,"run_id":"wf-3cd7f43c661c","agent_id":null,"reason":"Workflow is in status 'cancelled' (agent: None)","claim_token":null,"claim_expires_at":null}
call workflow_checkpoint {"run_id": "$low.run_id", "step": 1, "output": 1}
  {"ok":false,"run_id":"wf-3cd7f43c661c","step":1,"last_step":0,"next_step":0,"steps":0,"reason":"Workflow is in status 'cancelled' (agent: None)"}
call workflow_complete {"run_id": "$low.run_id"}
  {"ok":false,"run_id":"wf-3cd7f43c661c","status":"cancelled","reason":"Workflow is in status 'cancelled' (agent: None)"}
call workflow_fail {"run_id": "$low.run_id", "error": "e"}
  {"ok":false,"run_id":"wf-3cd7f43c661c","status":"cancelled","reason":"Workflow is in status 'cancelled' (agent: None)"}
call workflow_claim_next {"agent_id": "a"}
  {"claimed":false,"run_id":null,"agent_id":null,"reason":"No workflow is claimable","claim_token":null,"claim_expires_at":null}
