# An unknown status is refused, and the error lists the known ones.

call workflow_discover {"status": "pending"}
  error invalid_argument: status must be one of created, claimed, running, done, failed, cancelled, blocked, awaiting_approval, got 'pending'; did you mean 'running'?
call workflow_discover {"tags": "t=1"}
  error invalid_argument: tags must be an object of strings, got the string 't=1'
call workflow_discover {"cursor": "first"}
  error invalid_argument: cursor must be what next_cursor gave, got 'first'
call workflow_discover {"claimable": 1}
  error invalid_argument: claimable must be true or false, got the number 1
call workflow_list {"limit": -1}
  error invalid_argument: limit must be >= 1, got -1
