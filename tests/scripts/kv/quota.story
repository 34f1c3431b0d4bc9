# A full state accepts no more values, but lets agents finish work and make room.
# The limit of the stories is 2,000,000 bytes.

call workflow_create {"name": "before it is full"}
  {"run_id":"wf-e1e459320dd7","name":"before it is full","status":"created"}
let run = call workflow_create {"name": "n", "idempotency_key": "create"}
  {"run_id":"wf-3cd7f43c661c","name":"n","status":"created"}
let claim = call workflow_claim {"run_id": "$run.run_id", "agent_id": "a"}
  {"claimed":true,"run_id":"wf-3cd7f43c661c","agent_id":"a","reason":null,"claim_token":3,"claim_expires_at":1700000300.0}
call session_save {"session_id": "s", "context": {}}
  {"ok":true,"session_id":"s","revision":4}
let lease = call lease_acquire {"resource_id": "r", "holder_id": "a", "ttl_seconds": 60}
  {"acquired":true,"resource_id":"r","holder":"a","expires_at":1700000060.0,"reason":null,"fencing_token":5}
call state_set {"key": "first", "value": "x"*1000000}
  {"ok":true,"revision":6}
call state_set {"key": "second", "value": "x"*900000}
  {"ok":true,"revision":7}
call state_set {"key": "third", "value": "x"*100000, "idempotency_key": "set"}
  error quota_exceeded: the state would be 2000524 bytes, and may be 2000000; it is 1900453
call state_get {"key": "third"}
  {"key":"third","value":null,"found":false}
call sidecar_health {}
  {"status":"ok","backend":"…","uptime_s":"…","key_count":2,"workflow_count":2,"version":"1.0.0","step_count":0,"lease_count":1,"session_count":1,"revision":7,"chain":"9dd6a796e468b2680ee685ec2497f5866646800c697af139ecb4c07a57a146b1","state_bytes":1900453,"state_bytes_max":2000000,"release":"…"}
call state_set {"key": "third", "value": "x"*98000}
  {"ok":true,"revision":8}
# Nothing else that stores a value makes it larger.
call state_transact {"then": [{"op": "set", "key": "fourth", "value": "x"*3000}]}
  error quota_exceeded: the state would be 2001596 bytes, and may be 2000000; it is 1998524
call workflow_create {"name": "x"*200, "input": "x"*2000}
  error quota_exceeded: the state would be 2000805 bytes, and may be 2000000; it is 1998524
call workflow_checkpoint {"run_id": "$run.run_id", "step": 1, "output": "x"*2000, "agent_id": "a", "claim_token": $claim.claim_token}
  error quota_exceeded: the state would be 2000605 bytes, and may be 2000000; it is 1998524
call session_save {"session_id": "s", "context": {"c": "x"*2000}}
  error quota_exceeded: the state would be 2000530 bytes, and may be 2000000; it is 1998524
# What makes it smaller, or leaves it as large, goes on.
call state_set {"key": "second", "value": "y"*900000}
  {"ok":true,"revision":9}
call state_transact {"then": [{"op": "delete", "key": "third"}, {"op": "set", "key": "fourth", "value": "x"*3000}]}
  {"succeeded":true,"results":[{"op":"delete","key":"third","ok":true},{"op":"set","key":"fourth","ok":true,"revision":11}],"revision":11}
call state_set {"key": "fifth", "value": "x"*100000}
  error quota_exceeded: the state would be 2003596 bytes, and may be 2000000; it is 1903525
# Work is held, moved on and ended.
call lease_acquire {"resource_id": "another", "holder_id": "a", "ttl_seconds": 60}
  {"acquired":true,"resource_id":"another","holder":"a","expires_at":1700000060.0,"reason":null,"fencing_token":12}
call lease_renew {"resource_id": "r", "holder_id": "a", "ttl_seconds": 60, "fencing_token": $lease.fencing_token}
  {"renewed":true,"resource_id":"r","expires_at":1700000060.0,"fencing_token":5}
call workflow_heartbeat {"run_id": "$run.run_id", "agent_id": "a", "claim_token": $claim.claim_token}
  {"ok":true,"run_id":"wf-3cd7f43c661c","status":"claimed","claim_expires_at":1700000300.0}
call workflow_complete {"run_id": "$run.run_id", "agent_id": "a", "claim_token": $claim.claim_token, "result": "x"*2000}
  {"ok":true,"run_id":"wf-3cd7f43c661c","status":"done"}
call lease_release {"resource_id": "r", "holder_id": "a"}
  {"released":true,"resource_id":"r"}
call session_delete {"session_id": "s"}
  {"ok":true,"session_id":"s"}
# Room is made, and the refused call may be asked for again under its key.
call state_delete {"key": "first"}
  {"ok":true,"revision":17}
call state_set {"key": "third", "value": "x"*100000, "idempotency_key": "set"}
  {"ok":true,"revision":18}
call sidecar_health {}
  {"status":"ok","backend":"…","uptime_s":"…","key_count":3,"workflow_count":2,"version":"1.0.0","step_count":0,"lease_count":1,"session_count":0,"revision":18,"chain":"c4d02b106c006e07c4c66a36599b2338ff427707cfd7c87b262faae2c21fba4b","state_bytes":1005466,"state_bytes_max":2000000,"release":"…"}
call sidecar_reset {"confirm": true}
  {"ok":true,"cleared":12}
call sidecar_health {}
  {"status":"ok","backend":"…","uptime_s":"…","key_count":0,"workflow_count":0,"version":"1.0.0","step_count":0,"lease_count":0,"session_count":0,"revision":19,"chain":"a45592f0fe8777f2d96354f0466f4ec0811518c9051bed8af9086e3db104442e","state_bytes":0,"state_bytes_max":2000000,"release":"…"}
