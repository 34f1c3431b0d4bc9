# n is 1 or more, as in the reference, and an action must be a known one.

call history_log {"n": 0}
  error invalid_argument: n must be >= 1, got 0
call history_log {"n": -1}
  error invalid_argument: n must be >= 1, got -1
call history_log {"n": "ten"}
  error invalid_argument: n must be a whole number, got the string 'ten'
call history_log {"action": "state_sett"}
  error invalid_argument: action must be the name of a change; did you mean 'state_set'?
call history_log {"action": "explode"}
  error invalid_argument: action must be the name of a change; it takes state_set, state_delete, state_expire, workflow_create, workflow_claim, workflow_heartbeat, workflow_release, workflow_checkpoint, workflow_complete, workflow_fail, workflow_retry, workflow_cancel, lease_acquire, lease_renew, lease_release, lease_expire, session_save, session_delete, sidecar_reset, workflow_delete, workflow_expire, session_expire, schedule_set, schedule_delete, schedule_fire, workflow_ask, workflow_decide, workflow_unblock, workflow_pause, workflow_unpause
call history_log {"before_id": -1}
  error invalid_argument: before_id must be >= 0, got -1
call history_log {"n": 100000000}
  {"entries":[],"total":0}
