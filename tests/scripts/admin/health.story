# Health counts what exists, without what has expired.

call sidecar_health {}
  {"status":"ok","backend":"…","uptime_s":"…","key_count":0,"workflow_count":0,"version":"1.0.0","step_count":0,"lease_count":0,"session_count":0,"revision":0,"chain":"0000000000000000000000000000000000000000000000000000000000000000","state_bytes":0,"state_bytes_max":2000000,"release":"…"}
call state_set {"key": "k", "value": 1, "ttl_seconds": 1}
  {"ok":true,"revision":1}
let run = call workflow_create {"name": "n"}
  {"run_id":"wf-e1e459320dd7","name":"n","status":"created"}
call workflow_checkpoint {"run_id": "$run.run_id", "step": 1, "output": 1}
  {"ok":true,"run_id":"wf-e1e459320dd7","step":1,"last_step":1,"next_step":2,"steps":1}
call lease_acquire {"resource_id": "r", "holder_id": "a", "ttl_seconds": 60}
  {"acquired":true,"resource_id":"r","holder":"a","expires_at":1700000060.0,"reason":null,"fencing_token":4}
call session_save {"session_id": "s", "context": {}}
  {"ok":true,"session_id":"s","revision":5}
call sidecar_health {}
  {"status":"ok","backend":"…","uptime_s":"…","key_count":1,"workflow_count":1,"version":"1.0.0","step_count":1,"lease_count":1,"session_count":1,"revision":5,"chain":"92c0751d3aeedaf9823c8c321c759f3c6a4367da8a5a0adb191f0e80e256a93c","state_bytes":359,"state_bytes_max":2000000,"release":"…"}
advance 1s
call sidecar_health {}
  {"status":"ok","backend":"…","uptime_s":"…","key_count":0,"workflow_count":1,"version":"1.0.0","step_count":1,"lease_count":1,"session_count":1,"revision":5,"chain":"92c0751d3aeedaf9823c8c321c759f3c6a4367da8a5a0adb191f0e80e256a93c","state_bytes":359,"state_bytes_max":2000000,"release":"…"}
