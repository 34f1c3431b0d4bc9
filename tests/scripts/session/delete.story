# Deleting an absent session does no harm, and the reply says so.

call session_save {"session_id": "s", "context": {"a": 1}}
  {"ok":true,"session_id":"s","revision":1}
call session_delete {"session_id": "s", "agent_id": "a"}
  {"ok":true,"session_id":"s"}
call session_delete {"session_id": "s"}
  {"ok":false,"session_id":"s"}
call session_restore {"session_id": "s"}
  {"found":false,"session_id":"s","context":null}
call history_log {"key": "session:s"}
  {"entries":[{"id":2,"key":"session:s","new_value":null,"previous_value":{"a":1},"agent_id":"a","written_at":1700000000.0,"action":"session_delete","revision":2,"chain":"2537a5a60f2f641c2cd7b6d6a1662f92c7a8521163c2ad33528a1668c336e85c"},{"id":1,"key":"session:s","new_value":{"a":1},"previous_value":null,"agent_id":null,"written_at":1700000000.0,"action":"session_save","revision":1,"chain":"89e742e1e5c59a8ddc05e46c3a80659d24cf230149d7cd086d751586f0423378"}],"total":2}
