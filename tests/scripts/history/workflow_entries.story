# The history has an entry for each change of a run.

let run = call workflow_create {"name": "n", "max_attempts": 2}
  {"run_id":"wf-e1e459320dd7","name":"n","status":"created"}
let claim = call workflow_claim {"run_id": "$run.run_id", "agent_id": "w"}
  {"claimed":true,"run_id":"wf-e1e459320dd7","agent_id":"w","reason":null,"claim_token":2,"claim_expires_at":1700000300.0}
call workflow_checkpoint {"run_id": "$run.run_id", "step": 1, "output": {"a": 1}, "claim_token": $claim.claim_token}
  {"ok":true,"run_id":"wf-e1e459320dd7","step":1,"last_step":1,"next_step":2,"steps":1}
call workflow_fail {"run_id": "$run.run_id", "error": "oops", "claim_token": $claim.claim_token}
  {"ok":true,"run_id":"wf-e1e459320dd7","status":"created"}
call workflow_cancel {"run_id": "$run.run_id", "agent_id": "boss"}
  {"ok":true,"run_id":"wf-e1e459320dd7","status":"cancelled"}
call history_log {"key": "workflow:$run.run_id"}
  {"entries":[{"id":5,"key":"workflow:wf-e1e459320dd7","new_value":{"status":"cancelled"},"previous_value":{"status":"created","ready_at":1700000000.682,"error":"oops"},"agent_id":"boss","written_at":1700000000.0,"action":"workflow_cancel","revision":5,"chain":"ca9ff2ecaec3cd2785fe909787e9d8ab421822152ad037ecb025bfee7e957a1e"},{"id":4,"key":"workflow:wf-e1e459320dd7","new_value":{"status":"created","ready_at":1700000000.682,"error":"oops"},"previous_value":{"status":"running","agent_id":"w","claim_token":2,"claim_expires_at":1700000300.000},"agent_id":null,"written_at":1700000000.0,"action":"workflow_retry","revision":4,"chain":"dc35469f2f73ec5469480142a89a51769de2ba497bdcdeff4a7194bf942f5cda"},{"id":3,"key":"workflow:wf-e1e459320dd7","new_value":{"step":1,"output":{"a":1}},"previous_value":null,"agent_id":null,"written_at":1700000000.0,"action":"workflow_checkpoint","revision":3,"chain":"103c1993133b1b8d0a3d51273133802ddf637e47627b53e87e20d25cad175c92"},{"id":2,"key":"workflow:wf-e1e459320dd7","new_value":{"status":"claimed","agent_id":"w","claim_token":2,"claim_expires_at":1700000300.000},"previous_value":{"status":"created"},"agent_id":"w","written_at":1700000000.0,"action":"workflow_claim","revision":2,"chain":"48b16336d8f4c3e3d8781d6e4cbfc8464487347feb8bb8d7a52f8d07317a9be5"},{"id":1,"key":"workflow:wf-e1e459320dd7","new_value":{"status":"created","name":"n","tags":{},"priority":0,"max_attempts":2},"previous_value":null,"agent_id":null,"written_at":1700000000.0,"action":"workflow_create","revision":1,"chain":"2310c6e0c02cd3ce3961d1cf5987b7087ee6001a33702336401a9c076a070368"}],"total":5}
