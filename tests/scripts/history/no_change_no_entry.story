# A call that changes nothing adds no entry and no revision.

call state_delete {"key": "none"}
  {"ok":false,"revision":0}
call state_set {"key": "x", "value": 1, "if_revision": 9}
  {"ok":false,"revision":0,"reason":"if_revision: the key is at revision 0, not 9"}
call lease_renew {"resource_id": "r", "holder_id": "a", "ttl_seconds": 5}
  {"renewed":false,"resource_id":"r","expires_at":null,"fencing_token":null,"reason":"Nobody holds it; it was released or has expired"}
call workflow_claim {"run_id": "wf-none", "agent_id": "a"}
  {"claimed":false,"run_id":"wf-none","agent_id":null,"reason":"Workflow 'wf-none' not found","claim_token":null,"claim_expires_at":null}
call history_log {}
  {"entries":[],"total":0}
call state_set {"key": "x", "value": 1}
  {"ok":true,"revision":1}
