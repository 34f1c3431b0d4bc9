# A run that has ended is removed after a time, with its steps and its result. Here that is
# half an hour, unless the run says otherwise.

let soon = call workflow_create {"name": "soon", "keep_seconds": 10}
  {"run_id":"wf-e1e459320dd7","name":"soon","status":"created"}
let later = call workflow_create {"name": "later"}
  {"run_id":"wf-3cd7f43c661c","name":"later","status":"created"}
let kept = call workflow_create {"name": "kept", "keep_seconds": 86400}
  {"run_id":"wf-4080bab12a02","name":"kept","status":"created"}
call workflow_checkpoint {"run_id": "$soon.run_id", "step": 0, "output": "x"*1000}
  {"ok":true,"run_id":"wf-e1e459320dd7","step":0,"last_step":0,"next_step":1,"steps":1}
call workflow_complete {"run_id": "$soon.run_id", "result": 1}
  {"ok":true,"run_id":"wf-e1e459320dd7","status":"done"}
call workflow_complete {"run_id": "$later.run_id", "result": 2}
  {"ok":true,"run_id":"wf-3cd7f43c661c","status":"done"}
call workflow_complete {"run_id": "$kept.run_id", "result": 3}
  {"ok":true,"run_id":"wf-4080bab12a02","status":"done"}
advance 10s
call workflow_status {"run_id": "$soon.run_id"}
  error not_found: Workflow 'wf-e1e459320dd7' not found
call workflow_resume {"run_id": "$soon.run_id"}
  error not_found: Workflow 'wf-e1e459320dd7' not found
sweep
  removed 2
call history_log {"key": "workflow:$soon.run_id", "n": 1}
  {"entries":[{"id":8,"key":"workflow:wf-e1e459320dd7","new_value":null,"previous_value":{"status":"done","result":1},"agent_id":null,"written_at":1700000010.0,"action":"workflow_expire","revision":8,"chain":"e763f7d22c44d090a8ab2a19b7aad1845f7a57e934d82def5342603151a777f9"}],"total":1,"next_before_id":8,"remaining":3}
advance 1800s
sweep
  removed 1
call workflow_discover {"status": "done"}
  {"runs":[{"run_id":"wf-4080bab12a02","name":"kept","status":"done","tags":{},"agent_id":null,"last_step":0,"next_step":0,"steps":0,"created_at":1700000000.0,"updated_at":1700000000.0,"priority":0,"attempts":0,"max_attempts":1,"max_lapses":20,"expires_at":1700086400.0}]}
call sidecar_health {}
  {"status":"ok","backend":"…","uptime_s":"…","key_count":0,"workflow_count":1,"version":"1.0.0","step_count":0,"lease_count":0,"session_count":0,"revision":9,"chain":"0dc929132e3b93a5db94f5cb8531ef875e30c9cf5e4b517d65e751ca3d04bbbb","state_bytes":84,"state_bytes_max":2000000,"release":"…"}
