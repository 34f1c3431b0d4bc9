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
call workflow_create {"name": "n", "retry": {"max_attempts": 0}}
  error invalid_argument: retry.max_attempts must be >= 1, got 0
call workflow_create {"name": "n", "retry": {"backoff": 1}}
  error invalid_argument: unknown member 'backoff' in retry; it takes max_attempts, backoff_seconds, backoff_max_seconds
call workflow_create {"name": "n", "retry": {"backoff_seconds": 0}}
  error invalid_argument: backoff_seconds must be >= 1, got 0
call workflow_create {"name": "n", "deadline_seconds": 0}
  error invalid_argument: deadline_seconds must be >= 1, got 0
call workflow_create {"name": "n", "deadline_seconds": 1, "deadline_from": "start"}
  error invalid_argument: deadline_from must be one of creation, claim, got 'start'
call workflow_create {"name": "n", "start_within_seconds": 0}
  error invalid_argument: start_within_seconds must be >= 1, got 0
call workflow_create {"name": "n", "keep_seconds": -1}
  error invalid_argument: keep_seconds must be >= 0, got -1
call workflow_create {"name": "n", "delay_seconds": -1}
  error invalid_argument: delay_seconds must be >= 0, got -1
call workflow_create {"name": "n", "parent_run_id": "wf-none"}
  error not_found: Workflow 'wf-none' not found
call workflow_list {}
  {"runs":[]}
