# A paused name gives out no runs, except by their ids, until it is resumed.

call workflow_create {"name": "p", "priority": 9}
call workflow_create {"name": "p"}
call workflow_create {"name": "o"}
call workflow_pause {"name": "p", "agent_id": "boss"}
call workflow_pause {"name": "p"}
call workflow_claim_next {"agent_id": "w", "name": "p"}
call workflow_claim_next {"agent_id": "w", "names": ["p", "o"]}
call workflow_claim_next {"agent_id": "w"}
call workflow_claim_next {"agent_id": "w", "limit": 3}
call workflow_claim {"agent_id": "w", "run_id": "wf-3cd7f43c661c"}
call workflow_checkpoint {"run_id": "wf-3cd7f43c661c", "step": 1, "output": 1, "agent_id": "w"}
call workflow_pause {"name": "p", "resume": true, "agent_id": "boss"}
call workflow_pause {"name": "p", "resume": true}
call workflow_claim_next {"agent_id": "w", "wait_seconds": 1}
call history_log {"key": "pause:p"}
call workflow_pause {"name": "p"}
call sidecar_reset {"confirm": true}
call workflow_create {"name": "p"}
call workflow_claim_next {"agent_id": "w"}
call workflow_pause {}
call workflow_pause {"name": ""}
