# A run that is over can be removed at once, by anybody.

let run = call workflow_create {"name": "n"}
  {"run_id":"wf-e1e459320dd7","name":"n","status":"created"}
call workflow_delete {"run_id": "$run.run_id"}
  {"ok":false,"run_id":"wf-e1e459320dd7","status":"created","reason":"Workflow is in status 'created' (agent: None); only runs that are over can be removed"}
call workflow_complete {"run_id": "$run.run_id", "result": 1}
  {"ok":true,"run_id":"wf-e1e459320dd7","status":"done"}
call workflow_delete {"run_id": "$run.run_id", "agent_id": "boss"}
  {"ok":true,"run_id":"wf-e1e459320dd7","status":"done"}
call workflow_delete {"run_id": "$run.run_id"}
  error not_found: Workflow 'wf-e1e459320dd7' not found
call workflow_status {"run_id": "$run.run_id"}
  error not_found: Workflow 'wf-e1e459320dd7' not found
call history_log {"key": "workflow:$run.run_id", "n": 1}
  {"entries":[{"id":3,"key":"workflow:wf-e1e459320dd7","new_value":null,"previous_value":{"status":"done","result":1},"agent_id":"boss","written_at":1700000000.0,"action":"workflow_delete","revision":3,"chain":"d6b9fc12752a068f896dd98a32544e7e648b3e53c9d9f1fde1b9bf8e5bb2d638"}],"total":1,"next_before_id":3,"remaining":2}
call workflow_delete {}
  error invalid_argument: run_id is required
