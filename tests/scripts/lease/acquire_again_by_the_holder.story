# A holder that acquires again keeps its token and gets a new deadline.

call lease_acquire {"resource_id": "r", "holder_id": "a", "ttl_seconds": 60}
  {"acquired":true,"resource_id":"r","holder":"a","expires_at":1700000060.0,"reason":null,"fencing_token":1}
advance 30s
call lease_acquire {"resource_id": "r", "holder_id": "a", "ttl_seconds": 60}
  {"acquired":true,"resource_id":"r","holder":"a","expires_at":1700000090.0,"reason":null,"fencing_token":1}
call history_log {"key": "lease:r"}
  {"entries":[{"id":2,"key":"lease:r","new_value":{"holder":"a","fencing_token":1,"expires_at":1700000090.000},"previous_value":{"holder":"a","fencing_token":1,"expires_at":1700000060.000},"agent_id":"a","written_at":1700000030.0,"action":"lease_renew","revision":2,"chain":"499f45244127b582be0e9d28008e64f0d77a1c6c0f085561578ba138a0c0f7c4"},{"id":1,"key":"lease:r","new_value":{"holder":"a","fencing_token":1,"expires_at":1700000060.000},"previous_value":null,"agent_id":"a","written_at":1700000000.0,"action":"lease_acquire","revision":1,"chain":"7a76129977782cdbf5b9e7b0bbcbf048fa4c48c1df7caca661561d885385a830"}],"total":2}
