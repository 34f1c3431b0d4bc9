# A second run with a unique key is not created while the first one holds it.

call workflow_create {"name": "a", "unique": {"key": "queued", "while": "queued"}}
  {"run_id":"wf-e1e459320dd7","name":"a","status":"created"}
call workflow_create {"name": "a", "unique": {"key": "queued"}}
  {"run_id":"wf-e1e459320dd7","name":"a","status":"created","existing":true}
call workflow_claim {"agent_id": "w", "run_id": "wf-e1e459320dd7"}
  {"claimed":true,"run_id":"wf-e1e459320dd7","agent_id":"w","reason":null,"claim_token":2,"claim_expires_at":1700000300.0}
call workflow_create {"name": "b", "unique": {"key": "queued"}}
  {"run_id":"wf-4080bab12a02","name":"b","status":"created"}
call workflow_create {"name": "a", "unique": {"key": "active"}}
  {"run_id":"wf-eb70673e29cb","name":"a","status":"created"}
call workflow_create {"name": "a", "unique": {"key": "active"}}
  {"run_id":"wf-eb70673e29cb","name":"a","status":"created","existing":true}
call workflow_cancel {"run_id": "wf-4080bab12a02"}
  {"ok":true,"run_id":"wf-4080bab12a02","status":"cancelled"}
call workflow_create {"name": "a", "unique": {"key": "active", "while": "active"}}
  {"run_id":"wf-eb70673e29cb","name":"a","status":"created","existing":true}
call workflow_create {"name": "a", "unique": {"key": "time", "seconds": 60}}
  {"run_id":"wf-c4a133c2d0f6","name":"a","status":"created"}
call workflow_cancel {"run_id": "wf-eb70673e29cb"}
  {"ok":true,"run_id":"wf-eb70673e29cb","status":"cancelled"}
call workflow_create {"name": "a", "unique": {"key": "time"}}
  {"run_id":"wf-c4a133c2d0f6","name":"a","status":"created","existing":true}
advance 60s
call workflow_create {"name": "a", "unique": {"key": "time"}}
  {"run_id":"wf-c07a99506761","name":"a","status":"created"}
call workflow_create {"name": "a", "unique": {"key": ""}}
  error invalid_argument: unique.key must not be empty
call workflow_create {"name": "a", "unique": {"key": "k", "seconds": 0}}
  error invalid_argument: unique.ms must be >= 1, got 0
call workflow_create {"name": "a", "unique": {"key": "k", "while": "never"}}
  error invalid_argument: unique.while must be one of active, queued, got 'never'
