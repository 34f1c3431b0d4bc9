# Names are compared as a whole, and a page has its bounds.

call workflow_create {"name": "n"}
  {"run_id":"wf-e1e459320dd7","name":"n","status":"created"}
call workflow_stats {"name": "N"}
  {"stats":[]}
call workflow_stats {"name": 1}
  error invalid_argument: name must be a string, got the number 1
call workflow_stats {"limit": 0}
  error invalid_argument: limit must be >= 1, got 0
call workflow_stats {"cursor": 1}
  error invalid_argument: cursor must be a string, got the number 1
call workflow_stats {"nme": "n"}
  error invalid_argument: workflow_stats has no argument 'nme'; did you mean 'name'?
call workflow_status {"run_id": "wf-none"}
  error not_found: Workflow 'wf-none' not found
