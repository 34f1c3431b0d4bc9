# A run's last step, its end and the runs that follow it are one step: all of it happens,
# or nothing does.

let run = call workflow_create {"name": "plan"}
  {"run_id":"wf-e1e459320dd7","name":"plan","status":"created"}
let claim = call workflow_claim {"run_id": "$run.run_id", "agent_id": "w1", "claim_ttl_seconds": 60}
  {"claimed":true,"run_id":"wf-e1e459320dd7","agent_id":"w1","reason":null,"claim_token":2,"claim_expires_at":1700000060.0}
call workflow_complete {"run_id": "$run.run_id", "agent_id": "w1", "step": 0, "output": "planned", "successors": [{"name": "build"}, {"name": "test", "depends_on": ["wf-none"]}]}
  error not_found: successors[1].depends_on: Workflow 'wf-none' not found
call workflow_status {"run_id": "$run.run_id"}
  {"run_id":"wf-e1e459320dd7","name":"plan","status":"claimed","tags":{},"agent_id":"w1","last_step":0,"next_step":0,"steps":0,"created_at":1700000000.0,"updated_at":1700000000.0,"priority":0,"attempts":1,"max_attempts":1,"max_lapses":20,"claim_expires_at":1700000060.0}
call workflow_list {}
  {"runs":[{"run_id":"wf-e1e459320dd7","name":"plan","status":"claimed","tags":{},"agent_id":"w1","last_step":0,"next_step":0,"steps":0,"created_at":1700000000.0,"updated_at":1700000000.0,"priority":0,"attempts":1,"max_attempts":1,"max_lapses":20,"claim_expires_at":1700000060.0}]}
call workflow_complete {"run_id": "$run.run_id", "agent_id": "w1", "step": 0, "output": "planned", "result": "ok", "successors": [{"name": "build", "input": 1, "priority": 5}, {"name": "test", "parent_run_id": "$run.run_id", "depends_on": ["$run.run_id"]}]}
  {"ok":true,"run_id":"wf-e1e459320dd7","status":"done","successors":["wf-4080bab12a02","wf-dc3aae97b406"]}
call workflow_resume {"run_id": "$run.run_id"}
  {"run_id":"wf-e1e459320dd7","last_step":0,"step_outputs":{"0":"planned"},"meta":{"run_id":"wf-e1e459320dd7","name":"plan","status":"done","tags":{},"agent_id":"w1","last_step":0,"next_step":1,"steps":1,"created_at":1700000000.0,"updated_at":1700000000.0,"priority":0,"attempts":1,"max_attempts":1,"max_lapses":20,"expires_at":1700001800.0,"result":"ok"}}
call workflow_discover {"status": "created"}
  {"runs":[{"run_id":"wf-dc3aae97b406","name":"test","status":"created","tags":{},"agent_id":null,"last_step":0,"next_step":0,"steps":0,"created_at":1700000000.0,"updated_at":1700000000.0,"priority":0,"attempts":0,"max_attempts":1,"max_lapses":20,"parent_run_id":"wf-e1e459320dd7","depends_on":["wf-e1e459320dd7"]},{"run_id":"wf-4080bab12a02","name":"build","status":"created","tags":{},"agent_id":null,"last_step":0,"next_step":0,"steps":0,"created_at":1700000000.0,"updated_at":1700000000.0,"priority":5,"attempts":0,"max_attempts":1,"max_lapses":20}]}
call workflow_complete {"run_id": "$run.run_id", "agent_id": "w1", "result": "ok", "successors": [{"name": "build"}]}
  {"ok":true,"run_id":"wf-e1e459320dd7","status":"done"}
call workflow_list {}
  {"runs":[{"run_id":"wf-dc3aae97b406","name":"test","status":"created","tags":{},"agent_id":null,"last_step":0,"next_step":0,"steps":0,"created_at":1700000000.0,"updated_at":1700000000.0,"priority":0,"attempts":0,"max_attempts":1,"max_lapses":20,"parent_run_id":"wf-e1e459320dd7","depends_on":["wf-e1e459320dd7"]},{"run_id":"wf-4080bab12a02","name":"build","status":"created","tags":{},"agent_id":null,"last_step":0,"next_step":0,"steps":0,"created_at":1700000000.0,"updated_at":1700000000.0,"priority":5,"attempts":0,"max_attempts":1,"max_lapses":20},{"run_id":"wf-e1e459320dd7","name":"plan","status":"done","tags":{},"agent_id":"w1","last_step":0,"next_step":1,"steps":1,"created_at":1700000000.0,"updated_at":1700000000.0,"priority":0,"attempts":1,"max_attempts":1,"max_lapses":20,"expires_at":1700001800.0}]}
call history_log {"n": 4}
  {"entries":[{"id":6,"key":"workflow:wf-dc3aae97b406","new_value":{"status":"created","name":"test","tags":{},"priority":0,"max_attempts":1,"parent_run_id":"wf-e1e459320dd7","depends_on":["wf-e1e459320dd7"],"on_dependency_failure":"fail"},"previous_value":null,"agent_id":null,"written_at":1700000000.0,"action":"workflow_create","revision":6,"chain":"4a63edec538162c602ffaed70760926eaea2a2f1d5f367a90e789cdb3b2e95ee"},{"id":5,"key":"workflow:wf-4080bab12a02","new_value":{"status":"created","name":"build","tags":{},"input":1,"priority":5,"max_attempts":1},"previous_value":null,"agent_id":null,"written_at":1700000000.0,"action":"workflow_create","revision":5,"chain":"eb606f50b283d46e3225ab01d16a5bc50a179f9b10238328cb386034cf390fa1"},{"id":4,"key":"workflow:wf-e1e459320dd7","new_value":{"status":"done","agent_id":"w1","claim_token":2,"result":"ok"},"previous_value":{"status":"running","agent_id":"w1","claim_token":2,"claim_expires_at":1700000060.000},"agent_id":"w1","written_at":1700000000.0,"action":"workflow_complete","revision":4,"chain":"72bdaed2cb58b0b3ec1fcf8992f502944f3c11e21645f9b2776b228b89a8e9a0"},{"id":3,"key":"workflow:wf-e1e459320dd7","new_value":{"step":0,"output":"planned"},"previous_value":null,"agent_id":"w1","written_at":1700000000.0,"action":"workflow_checkpoint","revision":3,"chain":"a7beeb65516337a23609c8e81a7112434ba008676120a0cefac69d64cb3f5bf0"}],"total":4,"next_before_id":3,"remaining":2}
call workflow_complete {"run_id": "$run.run_id", "step": 1}
  error invalid_argument: output is missing: step needs it
call workflow_complete {"run_id": "$run.run_id", "output": 1}
  error invalid_argument: step is missing: output needs it
call workflow_complete {"run_id": "$run.run_id", "successors": [{"nam": "build"}]}
  error invalid_argument: unknown member 'nam' in successors[0]; it takes name, tags, input, priority, delay_seconds, max_attempts, retry, deadline_seconds, deadline_from, start_within_seconds, keep_seconds, parent_run_id, concurrency, fair_key, unique, depends_on, on_dependency_failure
call workflow_complete {"run_id": "$run.run_id", "successors": [{"input": 1}]}
  error invalid_argument: successors[0].name is required
call workflow_complete {"run_id": "$run.run_id", "successors": {"name": "build"}}
  error invalid_argument: successors must be a list of objects, got an object
