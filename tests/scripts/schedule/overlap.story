# What a firing does while the last run is not over is up to the schedule.

call schedule_set {"name": "s", "every_seconds": 10, "template": {"name": "s"}}
  {"ok":true,"name":"s","revision":1,"next_at":1700000010.0}
call schedule_set {"name": "q", "every_seconds": 10, "template": {"name": "q"}, "overlap": "queue"}
  {"ok":true,"name":"q","revision":2,"next_at":1700000010.0}
call schedule_set {"name": "r", "every_seconds": 10, "template": {"name": "r"}, "overlap": "replace"}
  {"ok":true,"name":"r","revision":3,"next_at":1700000010.0}
advance 10s
sweep
  removed 0, fired 3
let first = call workflow_claim_next {"agent_id": "a", "name": "s"}
  {"claimed":true,"run_id":"wf-4080bab12a02","agent_id":"a","reason":null,"claim_token":10,"claim_expires_at":1700000310.0}
advance 10s
sweep
  removed 0, fired 3
call workflow_discover {"status": "cancelled"}
  {"runs":[{"run_id":"wf-3cd7f43c661c","name":"r","status":"cancelled","tags":{},"agent_id":null,"last_step":0,"next_step":0,"steps":0,"created_at":1700000010.0,"updated_at":1700000020.0,"priority":0,"attempts":0,"max_attempts":1,"max_lapses":20,"expires_at":1700001820.0,"error":"schedule 'r' has fired again"}]}
call workflow_complete {"run_id": "$first.run_id", "agent_id": "a"}
  {"ok":true,"run_id":"wf-4080bab12a02","status":"done"}
advance 10s
sweep
  removed 0, fired 3
call schedule_list {}
  {"schedules":[{"name":"q","every_seconds":10.0,"overlap":"queue","workflow":"q","next_at":1700000040.0,"fired":3,"missed":0,"skipped":0,"last_run_id":"wf-c4a133c2d0f6","last_fired_at":1700000030.0,"set_at":1700000000.0,"revision":19},{"name":"r","every_seconds":10.0,"overlap":"replace","workflow":"r","next_at":1700000040.0,"fired":3,"missed":0,"skipped":0,"last_run_id":"wf-d6513d02befe","last_fired_at":1700000030.0,"set_at":1700000000.0,"revision":22},{"name":"s","every_seconds":10.0,"overlap":"skip","workflow":"s","next_at":1700000040.0,"fired":2,"missed":0,"skipped":1,"last_run_id":"wf-c07a99506761","last_fired_at":1700000030.0,"set_at":1700000000.0,"revision":24}]}
