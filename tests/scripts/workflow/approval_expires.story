# A question that nobody answers in time is decided too, and the run goes on. If its agent
# has gone meanwhile, that is no failed attempt.

let run = call workflow_create {"name": "deploy", "max_attempts": 1}
let claim = call workflow_claim {"run_id": "$run.run_id", "agent_id": "w1", "claim_ttl_seconds": 60}
call workflow_checkpoint {"run_id": "$run.run_id", "step": 0, "output": "built", "agent_id": "w1", "await_approval": {"question": "Deploy?", "expires_seconds": 600}}
advance 600s
call workflow_status {"run_id": "$run.run_id"}
call workflow_discover {"status": "running"}
call workflow_decide {"run_id": "$run.run_id", "answer": "yes"}
advance 60s
call workflow_claim_next {"agent_id": "w2"}
call workflow_status {"run_id": "$run.run_id"}
