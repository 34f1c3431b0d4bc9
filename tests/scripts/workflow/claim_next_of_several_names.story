# The best run of several names is claimed.

call workflow_create {"name": "a"}
  {"run_id":"wf-e1e459320dd7","name":"a","status":"created"}
call workflow_create {"name": "b", "priority": 1}
  {"run_id":"wf-3cd7f43c661c","name":"b","status":"created"}
call workflow_create {"name": "c", "priority": 2}
  {"run_id":"wf-4080bab12a02","name":"c","status":"created"}
call workflow_claim_next {"agent_id": "w", "names": ["a", "b"]}
  {"claimed":true,"run_id":"wf-3cd7f43c661c","agent_id":"w","reason":null,"claim_token":4,"claim_expires_at":1700000300.0}
call workflow_claim_next {"agent_id": "w", "names": ["b"], "name": "a"}
  {"claimed":true,"run_id":"wf-e1e459320dd7","agent_id":"w","reason":null,"claim_token":5,"claim_expires_at":1700000300.0}
call workflow_claim_next {"agent_id": "w", "names": ["a", "b"]}
  {"claimed":false,"run_id":null,"agent_id":null,"reason":"No workflow is claimable","claim_token":null,"claim_expires_at":null}
call workflow_claim_next {"agent_id": "w", "names": []}
  {"claimed":true,"run_id":"wf-4080bab12a02","agent_id":"w","reason":null,"claim_token":6,"claim_expires_at":1700000300.0}
call workflow_claim_next {"agent_id": "w", "names": ["a", ""]}
  error invalid_argument: names must not be empty
call workflow_claim_next {"agent_id": "w", "names": "a"}
  error invalid_argument: names must be a list of strings, got the string 'a'
call workflow_claim_next {"agent_id": "w", "names": ["1","2","3","4","5","6","7","8","9","10","11","12","13","14","15","16","17","18","19","20","21","22","23","24","25","26","27","28","29","30","31","32","33"]}
  error invalid_argument: names takes up to 32, got 33
