# Waits are whole seconds.

call workflow_claim_next {}
  error invalid_argument: agent_id is required
call workflow_claim_next {"agent_id": "w", "wait_seconds": -1}
  error invalid_argument: wait_seconds must be >= 0, got -1
call workflow_claim_next {"agent_id": "w", "wait_seconds": "long"}
  error invalid_argument: wait_seconds must be a whole number, got the string 'long'
