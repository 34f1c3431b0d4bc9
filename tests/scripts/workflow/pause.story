# A paused name gives out no runs, except by their ids, until it is resumed.

call workflow_create {"name": "p", "priority": 9}
  {"run_id":"wf-e1e459320dd7","name":"p","status":"created"}
call workflow_create {"name": "p"}
  {"run_id":"wf-3cd7f43c661c","name":"p","status":"created"}
call workflow_create {"name": "o"}
  {"run_id":"wf-4080bab12a02","name":"o","status":"created"}
call workflow_pause {"name": "p", "agent_id": "boss"}
  {"name":"p","paused":true,"changed":true}
call workflow_pause {"name": "p"}
  {"name":"p","paused":true,"changed":false}
call workflow_claim_next {"agent_id": "w", "name": "p"}
  {"claimed":false,"run_id":null,"agent_id":null,"reason":"No workflow is claimable","claim_token":null,"claim_expires_at":null}
call workflow_claim_next {"agent_id": "w", "names": ["p", "o"]}
  {"claimed":true,"run_id":"wf-4080bab12a02","agent_id":"w","reason":null,"claim_token":5,"claim_expires_at":1700000300.0}
call workflow_claim_next {"agent_id": "w"}
  {"claimed":false,"run_id":null,"agent_id":null,"reason":"No workflow is claimable","claim_token":null,"claim_expires_at":null}
call workflow_claim_next {"agent_id": "w", "limit": 3}
  {"claimed":false,"run_id":null,"agent_id":null,"reason":"No workflow is claimable","runs":[]}
call workflow_claim {"agent_id": "w", "run_id": "wf-3cd7f43c661c"}
  {"claimed":true,"run_id":"wf-3cd7f43c661c","agent_id":"w","reason":null,"claim_token":6,"claim_expires_at":1700000300.0}
call workflow_checkpoint {"run_id": "wf-3cd7f43c661c", "step": 1, "output": 1, "agent_id": "w"}
  {"ok":true,"run_id":"wf-3cd7f43c661c","step":1,"last_step":1,"next_step":2,"steps":1}
call workflow_pause {"name": "p", "resume": true, "agent_id": "boss"}
  {"name":"p","paused":false,"changed":true}
call workflow_pause {"name": "p", "resume": true}
  {"name":"p","paused":false,"changed":false}
call workflow_claim_next {"agent_id": "w", "wait_seconds": 1}
  {"claimed":true,"run_id":"wf-e1e459320dd7","agent_id":"w","reason":null,"claim_token":9,"claim_expires_at":1700000300.0}
call history_log {"key": "pause:p"}
  {"entries":[{"id":8,"key":"pause:p","new_value":null,"previous_value":{"paused":true},"agent_id":"boss","written_at":1700000000.0,"action":"workflow_unpause","revision":8,"chain":"a50e3b9d42e77497df16083f1c4f621d0b65c389a7697e4b47087cf798975db1"},{"id":4,"key":"pause:p","new_value":{"paused":true},"previous_value":null,"agent_id":"boss","written_at":1700000000.0,"action":"workflow_pause","revision":4,"chain":"6728d849febc8dc637a795ecf90da5ab9b5072ce8a85d65246cc8864a33c337d"}],"total":2}
call workflow_pause {"name": "p"}
  {"name":"p","paused":true,"changed":true}
call sidecar_reset {"confirm": true}
  {"ok":true,"cleared":4}
call workflow_create {"name": "p"}
  {"run_id":"wf-eb70673e29cb","name":"p","status":"created"}
call workflow_claim_next {"agent_id": "w"}
  {"claimed":true,"run_id":"wf-eb70673e29cb","agent_id":"w","reason":null,"claim_token":13,"claim_expires_at":1700000300.0}
call workflow_pause {}
  error invalid_argument: name is required
call workflow_pause {"name": ""}
  error invalid_argument: name must not be empty
