# Missing, empty and impossible arguments are refused.

call workflow_claim {"run_id": "r"}
  error invalid_argument: agent_id is required
call workflow_claim {"agent_id": "a"}
  error invalid_argument: run_id is required
call workflow_claim {"run_id": "", "agent_id": "a"}
  error invalid_argument: run_id must not be empty
call workflow_claim {"run_id": "r", "agent_id": "a", "claim_ttl_seconds": 0}
  error invalid_argument: claim_ttl_seconds must be >= 1, got 0
