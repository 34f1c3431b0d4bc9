# An unknown run is an error, where the reference drops the data; steps are not
# negative.

call workflow_checkpoint {"run_id": "wf-none", "step": 1, "output": 1}
  error not_found: Workflow 'wf-none' not found
call workflow_checkpoint {"run_id": "wf-none", "step": -1, "output": 1}
  error invalid_argument: step must be >= 0, got -1
call workflow_checkpoint {"run_id": "wf-none", "step": "one", "output": 1}
  error invalid_argument: step must be a whole number, got the string 'one'
call workflow_checkpoint {"run_id": "wf-none", "step": 1}
  error invalid_argument: output is required
