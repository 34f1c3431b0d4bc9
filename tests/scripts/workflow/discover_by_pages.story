# Pages go from newest to oldest; the last one has no cursor.

call workflow_create {"name": "a"}
  {"run_id":"wf-e1e459320dd7","name":"a","status":"created"}
call workflow_create {"name": "b"}
  {"run_id":"wf-3cd7f43c661c","name":"b","status":"created"}
call workflow_create {"name": "c"}
  {"run_id":"wf-4080bab12a02","name":"c","status":"created"}
let page = call workflow_discover {"limit": 2}
  {"runs":[{"run_id":"wf-4080bab12a02","name":"c","status":"created","tags":{},"agent_id":null,"last_step":0,"next_step":0,"steps":0,"created_at":1700000000.0,"updated_at":1700000000.0,"priority":0,"attempts":0,"max_attempts":1,"max_lapses":20},{"run_id":"wf-3cd7f43c661c","name":"b","status":"created","tags":{},"agent_id":null,"last_step":0,"next_step":0,"steps":0,"created_at":1700000000.0,"updated_at":1700000000.0,"priority":0,"attempts":0,"max_attempts":1,"max_lapses":20}],"next_cursor":"2","remaining":1}
call workflow_discover {"limit": 2, "cursor": "$page.next_cursor"}
  {"runs":[{"run_id":"wf-e1e459320dd7","name":"a","status":"created","tags":{},"agent_id":null,"last_step":0,"next_step":0,"steps":0,"created_at":1700000000.0,"updated_at":1700000000.0,"priority":0,"attempts":0,"max_attempts":1,"max_lapses":20}]}
let page = call workflow_list {"limit": 1}
  {"runs":[{"run_id":"wf-4080bab12a02","name":"c","status":"created","tags":{},"agent_id":null,"last_step":0,"next_step":0,"steps":0,"created_at":1700000000.0,"updated_at":1700000000.0,"priority":0,"attempts":0,"max_attempts":1,"max_lapses":20}],"next_cursor":"3","remaining":2}
call workflow_list {"limit": 2, "cursor": "$page.next_cursor"}
  {"runs":[{"run_id":"wf-3cd7f43c661c","name":"b","status":"created","tags":{},"agent_id":null,"last_step":0,"next_step":0,"steps":0,"created_at":1700000000.0,"updated_at":1700000000.0,"priority":0,"attempts":0,"max_attempts":1,"max_lapses":20},{"run_id":"wf-e1e459320dd7","name":"a","status":"created","tags":{},"agent_id":null,"last_step":0,"next_step":0,"steps":0,"created_at":1700000000.0,"updated_at":1700000000.0,"priority":0,"attempts":0,"max_attempts":1,"max_lapses":20}]}
