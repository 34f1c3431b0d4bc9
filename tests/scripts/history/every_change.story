# Every change of state is in the history, newest first, with what it was
# before.

call state_set {"key": "x", "value": 1}
  {"ok":true,"revision":1}
call state_set {"key": "x", "value": 2, "agent_id": "a"}
  {"ok":true,"revision":2}
call state_delete {"key": "x", "agent_id": "b"}
  {"ok":true,"revision":3}
call session_save {"session_id": "s", "context": {}}
  {"ok":true,"session_id":"s","revision":4}
call lease_acquire {"resource_id": "r", "holder_id": "h", "ttl_seconds": 5}
  {"acquired":true,"resource_id":"r","holder":"h","expires_at":1700000005.0,"reason":null,"fencing_token":5}
let run = call workflow_create {"name": "n"}
  {"run_id":"wf-e1e459320dd7","name":"n","status":"created"}
call workflow_claim {"run_id": "$run.run_id", "agent_id": "w"}
  {"claimed":true,"run_id":"wf-e1e459320dd7","agent_id":"w","reason":null,"claim_token":7,"claim_expires_at":1700000300.0}
call history_log {}
  {"entries":[{"id":7,"key":"workflow:wf-e1e459320dd7","new_value":{"status":"claimed","agent_id":"w","claim_token":7,"claim_expires_at":1700000300.000},"previous_value":{"status":"created"},"agent_id":"w","written_at":1700000000.0,"action":"workflow_claim","revision":7,"chain":"f899b00c9fbd46a814ad751bd70a98fb90e7ac8c48f542abd7f8612a790975bc"},{"id":6,"key":"workflow:wf-e1e459320dd7","new_value":{"status":"created","name":"n","tags":{},"priority":0,"max_attempts":1},"previous_value":null,"agent_id":null,"written_at":1700000000.0,"action":"workflow_create","revision":6,"chain":"e1e2ffd2436589a94563343c55620f682300ec909716f6892e70a9544a51c5e3"},{"id":5,"key":"lease:r","new_value":{"holder":"h","fencing_token":5,"expires_at":1700000005.000},"previous_value":null,"agent_id":"h","written_at":1700000000.0,"action":"lease_acquire","revision":5,"chain":"a8b467ba1678769d0185b44bdea692e8aebda2e069cd61e596e809d1550e667e"},{"id":4,"key":"session:s","new_value":{},"previous_value":null,"agent_id":null,"written_at":1700000000.0,"action":"session_save","revision":4,"chain":"9e440e17da16b8f6c19448d7bb8bbbc2e64397ff244290edec5f0f7e1dece81c"},{"id":3,"key":"x","new_value":null,"previous_value":2,"agent_id":"b","written_at":1700000000.0,"action":"state_delete","revision":3,"chain":"39d37d49473dd2e25f2f02d6593d38a54459bb3d46cc9ed123099404f38803d9"},{"id":2,"key":"x","new_value":2,"previous_value":1,"agent_id":"a","written_at":1700000000.0,"action":"state_set","revision":2,"chain":"a40c89fec4e00ed66be7ceffe3744855c99d7c491bbb8d93f605a38875260cfd"},{"id":1,"key":"x","new_value":1,"previous_value":null,"agent_id":null,"written_at":1700000000.0,"action":"state_set","revision":1,"chain":"a893220a0fee9484aa9bae8ae0aa121e2802726bfc1d0941115451ebbd84c746"}],"total":7}
