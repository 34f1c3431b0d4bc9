# The list has the sessions in byte order, without their contexts.

call session_save {"session_id": "b", "context": {}}
  {"ok":true,"session_id":"b","revision":1}
call session_save {"session_id": "a:2", "context": {}}
  {"ok":true,"session_id":"a:2","revision":2}
call session_save {"session_id": "a:1", "context": {}}
  {"ok":true,"session_id":"a:1","revision":3}
call session_list {}
  {"sessions":[{"session_id":"a:1","revision":3,"saved_at":1700000000.0,"updated_at":1700000000.0},{"session_id":"a:2","revision":2,"saved_at":1700000000.0,"updated_at":1700000000.0},{"session_id":"b","revision":1,"saved_at":1700000000.0,"updated_at":1700000000.0}]}
call session_list {"prefix": "a:"}
  {"sessions":[{"session_id":"a:1","revision":3,"saved_at":1700000000.0,"updated_at":1700000000.0},{"session_id":"a:2","revision":2,"saved_at":1700000000.0,"updated_at":1700000000.0}]}
let page = call session_list {"limit": 2}
  {"sessions":[{"session_id":"a:1","revision":3,"saved_at":1700000000.0,"updated_at":1700000000.0},{"session_id":"a:2","revision":2,"saved_at":1700000000.0,"updated_at":1700000000.0}],"next_cursor":"a:2","remaining":1}
call session_list {"limit": 2, "cursor": "$page.next_cursor"}
  {"sessions":[{"session_id":"b","revision":1,"saved_at":1700000000.0,"updated_at":1700000000.0}]}
