# A call waits for one run, or for the children of one.

call workflow_wait {}
  error invalid_argument: workflow_wait needs exactly one of run_id and parent_run_id
call workflow_wait {"run_id": "a", "parent_run_id": "b"}
  error invalid_argument: workflow_wait needs exactly one of run_id and parent_run_id
call workflow_wait {"parent_run_id": "a", "step": 1}
  error invalid_argument: step needs run_id
call workflow_wait {"run_id": ""}
  error invalid_argument: run_id must not be empty
call workflow_wait {"run_id": "a", "wait_seconds": -1}
  error invalid_argument: wait_seconds must be >= 0, got -1
call workflow_wait {"run_id": "a", "step": "last"}
  error invalid_argument: step must be a whole number, got the string 'last'
