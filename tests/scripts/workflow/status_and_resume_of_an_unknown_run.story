# Reading a run that does not exist is an error.

call workflow_status {"run_id": "wf-none"}
  error not_found: Workflow 'wf-none' not found
call workflow_resume {"run_id": "wf-none"}
  error not_found: Workflow 'wf-none' not found
