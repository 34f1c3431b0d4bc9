# A run that depends on others is blocked until they are over. Whoever claims it is given
# their results.

let extract = call workflow_create {"name": "extract"}
  {"run_id":"wf-e1e459320dd7","name":"extract","status":"created"}
let clean = call workflow_create {"name": "clean"}
  {"run_id":"wf-3cd7f43c661c","name":"clean","status":"created"}
let report = call workflow_create {"name": "report", "depends_on": ["$extract.run_id", "$clean.run_id"]}
  {"run_id":"wf-4080bab12a02","name":"report","status":"blocked"}
call workflow_status {"run_id": "$report.run_id"}
  {"run_id":"wf-4080bab12a02","name":"report","status":"blocked","tags":{},"agent_id":null,"last_step":0,"next_step":0,"steps":0,"created_at":1700000000.0,"updated_at":1700000000.0,"priority":0,"attempts":0,"max_attempts":1,"max_lapses":20,"depends_on":["wf-e1e459320dd7","wf-3cd7f43c661c"],"blocked_by":["wf-e1e459320dd7","wf-3cd7f43c661c"]}
call workflow_discover {"status": "blocked"}
  {"runs":[{"run_id":"wf-4080bab12a02","name":"report","status":"blocked","tags":{},"agent_id":null,"last_step":0,"next_step":0,"steps":0,"created_at":1700000000.0,"updated_at":1700000000.0,"priority":0,"attempts":0,"max_attempts":1,"max_lapses":20,"depends_on":["wf-e1e459320dd7","wf-3cd7f43c661c"],"blocked_by":["wf-e1e459320dd7","wf-3cd7f43c661c"]}]}
call workflow_claim {"run_id": "$report.run_id", "agent_id": "w1"}
  {"claimed":false,"run_id":"wf-4080bab12a02","agent_id":null,"reason":"Workflow is in status 'blocked' (by 'wf-e1e459320dd7' and 1 more)","claim_token":null,"claim_expires_at":null}
call workflow_checkpoint {"run_id": "$report.run_id", "step": 0, "output": 1}
  {"ok":false,"run_id":"wf-4080bab12a02","step":0,"last_step":0,"next_step":0,"steps":0,"reason":"Workflow is in status 'blocked' (by 'wf-e1e459320dd7' and 1 more)"}
call workflow_complete {"run_id": "$report.run_id"}
  {"ok":false,"run_id":"wf-4080bab12a02","status":"blocked","reason":"Workflow is in status 'blocked' (by 'wf-e1e459320dd7' and 1 more)"}
call workflow_complete {"run_id": "$extract.run_id", "result": {"rows": 7}}
  {"ok":true,"run_id":"wf-e1e459320dd7","status":"done"}
call workflow_status {"run_id": "$report.run_id"}
  {"run_id":"wf-4080bab12a02","name":"report","status":"blocked","tags":{},"agent_id":null,"last_step":0,"next_step":0,"steps":0,"created_at":1700000000.0,"updated_at":1700000000.0,"priority":0,"attempts":0,"max_attempts":1,"max_lapses":20,"depends_on":["wf-e1e459320dd7","wf-3cd7f43c661c"],"blocked_by":["wf-3cd7f43c661c"]}
call workflow_claim_next {"agent_id": "w1", "name": "report"}
  {"claimed":false,"run_id":null,"agent_id":null,"reason":"No workflow is claimable","claim_token":null,"claim_expires_at":null}
call workflow_complete {"run_id": "$clean.run_id", "result": "clean"}
  {"ok":true,"run_id":"wf-3cd7f43c661c","status":"done"}
let claim = call workflow_claim_next {"agent_id": "w1", "name": "report"}
  {"claimed":true,"run_id":"wf-4080bab12a02","agent_id":"w1","reason":null,"claim_token":8,"claim_expires_at":1700000300.0,"prerequisites":{"wf-e1e459320dd7":{"name":"extract","status":"done","result":{"rows":7}},"wf-3cd7f43c661c":{"name":"clean","status":"done","result":"clean"}}}
call workflow_resume {"run_id": "$report.run_id"}
  {"run_id":"wf-4080bab12a02","last_step":0,"step_outputs":{},"meta":{"run_id":"wf-4080bab12a02","name":"report","status":"claimed","tags":{},"agent_id":"w1","last_step":0,"next_step":0,"steps":0,"created_at":1700000000.0,"updated_at":1700000000.0,"priority":0,"attempts":1,"max_attempts":1,"max_lapses":20,"claim_expires_at":1700000300.0,"depends_on":["wf-e1e459320dd7","wf-3cd7f43c661c"],"prerequisites":{"wf-e1e459320dd7":{"name":"extract","status":"done","result":{"rows":7}},"wf-3cd7f43c661c":{"name":"clean","status":"done","result":"clean"}}}}
call workflow_delete {"run_id": "$extract.run_id"}
  {"ok":true,"run_id":"wf-e1e459320dd7","status":"done"}
call workflow_resume {"run_id": "$report.run_id"}
  {"run_id":"wf-4080bab12a02","last_step":0,"step_outputs":{},"meta":{"run_id":"wf-4080bab12a02","name":"report","status":"claimed","tags":{},"agent_id":"w1","last_step":0,"next_step":0,"steps":0,"created_at":1700000000.0,"updated_at":1700000000.0,"priority":0,"attempts":1,"max_attempts":1,"max_lapses":20,"claim_expires_at":1700000300.0,"depends_on":["wf-e1e459320dd7","wf-3cd7f43c661c"],"prerequisites":{"wf-3cd7f43c661c":{"name":"clean","status":"done","result":"clean"}}}}
call history_log {"action": "workflow_unblock"}
  {"entries":[{"id":7,"key":"workflow:wf-4080bab12a02","new_value":{"status":"created"},"previous_value":{"status":"blocked"},"agent_id":null,"written_at":1700000000.0,"action":"workflow_unblock","revision":7,"chain":"38de5ea10953baf1847639dfe3758e5204517956f15891edae7846da51a9df25"},{"id":5,"key":"workflow:wf-4080bab12a02","new_value":{"status":"blocked"},"previous_value":{"status":"blocked"},"agent_id":null,"written_at":1700000000.0,"action":"workflow_unblock","revision":5,"chain":"d8967103a46a6ce9d3125cd286cdcb0088f86c0efd7073410d1a23d9fc293e5a"}],"total":2}
call workflow_create {"name": "late", "depends_on": ["$clean.run_id"]}
  {"run_id":"wf-eb70673e29cb","name":"late","status":"created"}
call workflow_create {"name": "orphan", "depends_on": ["wf-none"]}
  error not_found: depends_on: Workflow 'wf-none' not found
call workflow_create {"name": "wrong", "depends_on": "wf-none"}
  error invalid_argument: depends_on must be a list of strings, got the string 'wf-none'
call workflow_create {"name": "wrong", "depends_on": [1]}
  error invalid_argument: depends_on[0] must be a string, got the number 1
call workflow_create {"name": "wrong", "depends_on": ["$clean.run_id"], "on_dependency_failure": "ignore"}
  error invalid_argument: on_dependency_failure must be one of fail, cancel, continue, got 'ignore'
