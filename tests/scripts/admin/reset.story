# Reset removes everything at once; revisions go on from where they were.

call state_set {"key": "k", "value": 1}
  {"ok":true,"revision":1}
call state_set {"key": "k", "value": 2}
  {"ok":true,"revision":2}
let run = call workflow_create {"name": "n"}
  {"run_id":"wf-e1e459320dd7","name":"n","status":"created"}
call workflow_checkpoint {"run_id": "$run.run_id", "step": 1, "output": 1}
  {"ok":true,"run_id":"wf-e1e459320dd7","step":1,"last_step":1,"next_step":2,"steps":1}
call lease_acquire {"resource_id": "r", "holder_id": "a", "ttl_seconds": 60}
  {"acquired":true,"resource_id":"r","holder":"a","expires_at":1700000060.0,"reason":null,"fencing_token":5}
call session_save {"session_id": "s", "context": {}}
  {"ok":true,"session_id":"s","revision":6}
call sidecar_reset {"confirm": true}
  {"ok":true,"cleared":7}
call state_list {}
  {"keys":[]}
call workflow_list {}
  {"runs":[]}
call lease_list {}
  {"leases":[]}
call session_list {}
  {"sessions":[]}
call history_log {}
  {"entries":[],"total":0}
call sidecar_reset {"confirm": true}
  {"ok":true,"cleared":0}
call state_set {"key": "k", "value": 3}
  {"ok":true,"revision":9}
call history_log {}
  {"entries":[{"id":9,"key":"k","new_value":3,"previous_value":null,"agent_id":null,"written_at":1700000000.0,"action":"state_set","revision":9,"chain":"8e5f9907741822f2d2d2126623c97f29eb582acc4fd523c15cea376172bf35b7"}],"total":1}
