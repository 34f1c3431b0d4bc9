# Cron expressions are read in a time zone. The stories begin on 14 November 2023, at 22:13:20
# in UTC.

call schedule_set {"name": "hourly", "cron": "0 * * * *", "template": {"name": "h"}}
  {"ok":true,"name":"hourly","revision":1,"next_at":1700002800.0}
call schedule_set {"name": "berlin", "cron": "30 23 * * MON-FRI", "timezone": "Europe/Berlin", "template": {"name": "b"}}
  {"ok":true,"name":"berlin","revision":2,"next_at":1700001000.0}
call schedule_list {"limit": 1}
  {"schedules":[{"name":"berlin","cron":"30 23 * * MON-FRI","timezone":"Europe/Berlin","overlap":"skip","workflow":"b","next_at":1700001000.0,"fired":0,"missed":0,"skipped":0,"set_at":1700000000.0,"revision":2}],"next_cursor":"berlin","remaining":1}
advance 1000s
sweep
  removed 0, fired 1
advance 2000s
sweep
  removed 0, fired 1
call workflow_discover {}
  {"runs":[{"run_id":"wf-3cd7f43c661c","name":"h","status":"created","tags":{},"agent_id":null,"last_step":0,"next_step":0,"steps":0,"created_at":1700003000.0,"updated_at":1700003000.0,"priority":0,"attempts":0,"max_attempts":1,"max_lapses":20},{"run_id":"wf-e1e459320dd7","name":"b","status":"created","tags":{},"agent_id":null,"last_step":0,"next_step":0,"steps":0,"created_at":1700001000.0,"updated_at":1700001000.0,"priority":0,"attempts":0,"max_attempts":1,"max_lapses":20}]}
call schedule_list {"limit": 1}
  {"schedules":[{"name":"berlin","cron":"30 23 * * MON-FRI","timezone":"Europe/Berlin","overlap":"skip","workflow":"b","next_at":1700087400.0,"fired":1,"missed":0,"skipped":0,"last_run_id":"wf-e1e459320dd7","last_fired_at":1700001000.0,"set_at":1700000000.0,"revision":4}],"next_cursor":"berlin","remaining":1}
call schedule_list {"limit": 1, "cursor": "berlin"}
  {"schedules":[{"name":"hourly","cron":"0 * * * *","timezone":"UTC","overlap":"skip","workflow":"h","next_at":1700006400.0,"fired":1,"missed":0,"skipped":0,"last_run_id":"wf-3cd7f43c661c","last_fired_at":1700003000.0,"set_at":1700000000.0,"revision":6}]}
