# A checkpoint asks a person. The run waits with its claim, however long that takes, and
# the answer is to the question that was read.

let run = call workflow_create {"name": "deploy", "max_attempts": 1}
let claim = call workflow_claim {"run_id": "$run.run_id", "agent_id": "w1", "claim_ttl_seconds": 60}
call workflow_checkpoint {"run_id": "$run.run_id", "step": 0, "output": "built", "agent_id": "w1", "claim_token": $claim.claim_token, "await_approval": {"question": "Deploy to production?", "options": ["yes", "no"]}}
advance 3600s
let asked = call workflow_status {"run_id": "$run.run_id"}
call workflow_discover {"status": "awaiting_approval"}
call workflow_claim_next {"agent_id": "w2"}
call workflow_claim {"run_id": "$run.run_id", "agent_id": "w2"}
call workflow_complete {"run_id": "$run.run_id", "claim_token": $claim.claim_token}
call workflow_heartbeat {"run_id": "$run.run_id", "agent_id": "w1", "claim_token": $claim.claim_token}
call workflow_decide {"run_id": "$run.run_id", "answer": "perhaps"}
call workflow_decide {"run_id": "$run.run_id", "answer": "yes", "digest": "0"}
call workflow_decide {"run_id": "$run.run_id", "answer": "yes", "comment": "after lunch", "digest": "$asked.approval.digest", "agent_id": "boss"}
call workflow_decide {"run_id": "$run.run_id", "answer": "no", "agent_id": "boss"}
call workflow_status {"run_id": "$run.run_id"}
call history_log {"key": "workflow:$run.run_id", "action": "workflow_decide"}
call workflow_complete {"run_id": "$run.run_id", "claim_token": $claim.claim_token}
