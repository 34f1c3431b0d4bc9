# A schedule creates one run for each firing, and one for all that were missed.

call schedule_set {"name": "report", "every_seconds": 60, "template": {"name": "report", "input": {"of": "day"}, "tags": {"team": "data"}, "priority": 3}, "overlap": "queue"}
  {"ok":true,"name":"report","revision":1,"next_at":1700000060.0}
call schedule_set {"name": "report", "every_seconds": 60, "template": {"name": "report", "input": {"of": "night"}}, "overlap": "queue"}
  {"ok":true,"name":"report","revision":2,"next_at":1700000060.0}
sweep
  removed 0
advance 60s
sweep
  removed 0, fired 1
sweep
  removed 0
call workflow_discover {"name": "report"}
  {"runs":[{"run_id":"wf-e1e459320dd7","name":"report","status":"created","tags":{},"agent_id":null,"last_step":0,"next_step":0,"steps":0,"created_at":1700000060.0,"updated_at":1700000060.0,"priority":0,"attempts":0,"max_attempts":1,"max_lapses":20}]}
advance 600s
sweep
  removed 0, fired 1
sweep
  removed 0
call schedule_list {}
  {"schedules":[{"name":"report","every_seconds":60.0,"overlap":"queue","workflow":"report","input":{"of":"night"},"next_at":1700000720.0,"fired":2,"missed":9,"skipped":0,"last_run_id":"wf-3cd7f43c661c","last_fired_at":1700000660.0,"set_at":1700000000.0,"revision":6}]}
call workflow_claim_next {"agent_id": "a", "name": "report"}
  {"claimed":true,"run_id":"wf-e1e459320dd7","agent_id":"a","reason":null,"claim_token":7,"claim_expires_at":1700000960.0}
call history_log {"key": "schedule:report", "n": 5}
  {"entries":[{"id":6,"key":"schedule:report","new_value":{"due_at":1700000120.000,"run_id":"wf-3cd7f43c661c","missed":9,"next_at":1700000720.000},"previous_value":null,"agent_id":null,"written_at":1700000660.0,"action":"schedule_fire","revision":6,"chain":"bd475f86b02fa7cd75b4b1823c3f23f8555178d08bde4a5896d15b541d366901"},{"id":4,"key":"schedule:report","new_value":{"due_at":1700000060.000,"run_id":"wf-e1e459320dd7","missed":0,"next_at":1700000120.000},"previous_value":null,"agent_id":null,"written_at":1700000060.0,"action":"schedule_fire","revision":4,"chain":"e4203c6470208c5fdb6f85ed0ba70181753dc8234f955ef2bb3efb81facacde8"},{"id":2,"key":"schedule:report","new_value":{"every_seconds":60.000,"overlap":"queue","workflow":"report","input":{"of":"night"},"next_at":1700000060.000},"previous_value":{"every_seconds":60.000,"overlap":"queue","workflow":"report","input":{"of":"day"},"next_at":1700000060.000},"agent_id":null,"written_at":1700000000.0,"action":"schedule_set","revision":2,"chain":"e0df807ef7d14dc052afc53c16c734f3fb3af792e900c1a6c887b673b8cab00f"},{"id":1,"key":"schedule:report","new_value":{"every_seconds":60.000,"overlap":"queue","workflow":"report","input":{"of":"day"},"next_at":1700000060.000},"previous_value":null,"agent_id":null,"written_at":1700000000.0,"action":"schedule_set","revision":1,"chain":"1e45b95a8df241eac1485ebffb7adce2b1e3038662cabc3d7f92a4ec30f40721"}],"total":4}
call schedule_set {"name": "report", "delete": true}
  {"ok":true,"name":"report"}
call schedule_set {"name": "report", "delete": true}
  {"ok":false,"name":"report"}
advance 600s
sweep
  removed 2
call schedule_list {}
  {"schedules":[]}
