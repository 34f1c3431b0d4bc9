# A run that is refused does not stop its schedule, nor others, and the schedule says why.

call schedule_set {"name": "a", "every_seconds": 10, "template": {"name": "w", "parent_run_id": "wf-none"}}
  {"ok":true,"name":"a","revision":1,"next_at":1700000010.0}
call schedule_set {"name": "b", "every_seconds": 10, "template": {"name": "w"}}
  {"ok":true,"name":"b","revision":2,"next_at":1700000010.0}
advance 10s
sweep
  removed 0, fired 2
call schedule_list {}
  {"schedules":[{"name":"a","every_seconds":10.0,"overlap":"skip","workflow":"w","next_at":1700000020.0,"fired":0,"missed":1,"skipped":0,"last_error":"Workflow 'wf-none' not found","set_at":1700000000.0,"revision":3},{"name":"b","every_seconds":10.0,"overlap":"skip","workflow":"w","next_at":1700000020.0,"fired":1,"missed":0,"skipped":0,"last_run_id":"wf-3cd7f43c661c","last_fired_at":1700000010.0,"set_at":1700000000.0,"revision":5}]}
call sidecar_reset {"confirm": true}
  {"ok":true,"cleared":3}
advance 10s
sweep
  removed 0
call schedule_list {}
  {"schedules":[]}
