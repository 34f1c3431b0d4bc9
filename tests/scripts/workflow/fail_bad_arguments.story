# The error is required, and retry is true or false.

call workflow_fail {"run_id": "r"}
  error invalid_argument: error is required
call workflow_fail {"run_id": "r", "error": "e", "retry": "no"}
  error invalid_argument: retry must be true or false, got the string 'no'
call workflow_fail {"run_id": "wf-none", "error": "e"}
  error not_found: Workflow 'wf-none' not found
