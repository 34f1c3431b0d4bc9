# Runs are found by the run that they belong to, and by who works on them.

let whole = call workflow_create {"name": "whole"}
  {"run_id":"wf-e1e459320dd7","name":"whole","status":"created"}
let a = call workflow_create {"name": "part", "tags": {"n": "1"}, "parent_run_id": "$whole.run_id"}
  {"run_id":"wf-3cd7f43c661c","name":"part","status":"created"}
let b = call workflow_create {"name": "part", "parent_run_id": "$whole.run_id"}
  {"run_id":"wf-4080bab12a02","name":"part","status":"created"}
call workflow_claim {"run_id": "$b.run_id", "agent_id": "w"}
  {"claimed":true,"run_id":"wf-4080bab12a02","agent_id":"w","reason":null,"claim_token":4,"claim_expires_at":1700000300.0}
call workflow_claim {"run_id": "$whole.run_id", "agent_id": "o"}
  {"claimed":true,"run_id":"wf-e1e459320dd7","agent_id":"o","reason":null,"claim_token":5,"claim_expires_at":1700000300.0}
call workflow_discover {"parent_run_id": "$whole.run_id", "values": "none"}
  {"runs":[{"run_id":"wf-4080bab12a02","name":"part","status":"claimed","tags":{},"agent_id":"w","last_step":0,"next_step":0,"steps":0,"created_at":1700000000.0,"updated_at":1700000000.0,"priority":0,"attempts":1,"max_attempts":1,"max_lapses":20,"parent_run_id":"wf-e1e459320dd7","claim_expires_at":1700000300.0},{"run_id":"wf-3cd7f43c661c","name":"part","status":"created","tags":{"n":"1"},"agent_id":null,"last_step":0,"next_step":0,"steps":0,"created_at":1700000000.0,"updated_at":1700000000.0,"priority":0,"attempts":0,"max_attempts":1,"max_lapses":20,"parent_run_id":"wf-e1e459320dd7"}]}
call workflow_discover {"parent_run_id": "$whole.run_id", "tags": {"n": "1"}}
  {"runs":[{"run_id":"wf-3cd7f43c661c","name":"part","status":"created","tags":{"n":"1"},"agent_id":null,"last_step":0,"next_step":0,"steps":0,"created_at":1700000000.0,"updated_at":1700000000.0,"priority":0,"attempts":0,"max_attempts":1,"max_lapses":20,"parent_run_id":"wf-e1e459320dd7"}]}
call workflow_discover {"parent_run_id": "$whole.run_id", "claimable": true}
  {"runs":[{"run_id":"wf-3cd7f43c661c","name":"part","status":"created","tags":{"n":"1"},"agent_id":null,"last_step":0,"next_step":0,"steps":0,"created_at":1700000000.0,"updated_at":1700000000.0,"priority":0,"attempts":0,"max_attempts":1,"max_lapses":20,"parent_run_id":"wf-e1e459320dd7"}]}
call workflow_discover {"agent_id": "w"}
  {"runs":[{"run_id":"wf-4080bab12a02","name":"part","status":"claimed","tags":{},"agent_id":"w","last_step":0,"next_step":0,"steps":0,"created_at":1700000000.0,"updated_at":1700000000.0,"priority":0,"attempts":1,"max_attempts":1,"max_lapses":20,"parent_run_id":"wf-e1e459320dd7","claim_expires_at":1700000300.0}]}
call workflow_discover {"parent_run_id": "$whole.run_id", "agent_id": "o"}
  {"runs":[]}
call workflow_discover {"parent_run_id": ""}
  error invalid_argument: parent_run_id must not be empty
