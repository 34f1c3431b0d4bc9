# An error names what is wrong, and no run is created.

call workflow_create {}
  error invalid_argument: name is required
call workflow_create {"name": ""}
  error invalid_argument: name must not be empty
call workflow_create {"name": "n"*1025}
  error too_large: name takes up to 1024 bytes, got 1025
call workflow_create {"name": "n", "tags": {"a": 1}}
  error invalid_argument: tags.a must be a string, got the number 1
call workflow_create {"name": "n", "tags": ["a"]}
  error invalid_argument: tags must be an object of strings, got a list of 1
call workflow_create {"name": "n", "priority": "high"}
  error invalid_argument: priority must be a whole number, got the string 'high'
call workflow_create {"name": "n", "max_attempts": 0}
  error invalid_argument: max_attempts must be >= 1, got 0
call workflow_create {"name": "n", "delay_seconds": -1}
  error invalid_argument: delay_seconds must be >= 0, got -1
call workflow_create {"name": "n", "parent_run_id": "wf-none"}
  error not_found: Workflow 'wf-none' not found
call workflow_list {}
  {"runs":[]}
