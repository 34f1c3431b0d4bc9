# Claiming a run that does not exist is refused as in the reference, not an
# error.

call workflow_claim {"run_id": "wf-none", "agent_id": "w1"}
  {"claimed":false,"run_id":"wf-none","agent_id":null,"reason":"Workflow 'wf-none' not found","claim_token":null,"claim_expires_at":null}
