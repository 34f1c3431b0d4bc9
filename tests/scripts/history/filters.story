# Entries are found by key, action and agent, which must all match.

call state_set {"key": "x", "value": 1, "agent_id": "a"}
  {"ok":true,"revision":1}
call state_set {"key": "y", "value": 1, "agent_id": "b"}
  {"ok":true,"revision":2}
call state_delete {"key": "x", "agent_id": "b"}
  {"ok":true,"revision":3}
call history_log {"key": "x"}
  {"entries":[{"id":3,"key":"x","new_value":null,"previous_value":1,"agent_id":"b","written_at":1700000000.0,"action":"state_delete","revision":3,"chain":"518ed21df77ce4adc1ded98276f65671f5defcdec0fbf1e60686186049ee9627"},{"id":1,"key":"x","new_value":1,"previous_value":null,"agent_id":"a","written_at":1700000000.0,"action":"state_set","revision":1,"chain":"14e3e040cfb1bb42531772d8c1997f5006eb6c5e54dc706bd9917c75848e9b19"}],"total":2}
call history_log {"action": "state_set"}
  {"entries":[{"id":2,"key":"y","new_value":1,"previous_value":null,"agent_id":"b","written_at":1700000000.0,"action":"state_set","revision":2,"chain":"9127bb0f4543ce738a0d7c0d18ef25bc838afdbcd3a3061f9b93d6e10036d1ad"},{"id":1,"key":"x","new_value":1,"previous_value":null,"agent_id":"a","written_at":1700000000.0,"action":"state_set","revision":1,"chain":"14e3e040cfb1bb42531772d8c1997f5006eb6c5e54dc706bd9917c75848e9b19"}],"total":2}
call history_log {"agent_id": "b"}
  {"entries":[{"id":3,"key":"x","new_value":null,"previous_value":1,"agent_id":"b","written_at":1700000000.0,"action":"state_delete","revision":3,"chain":"518ed21df77ce4adc1ded98276f65671f5defcdec0fbf1e60686186049ee9627"},{"id":2,"key":"y","new_value":1,"previous_value":null,"agent_id":"b","written_at":1700000000.0,"action":"state_set","revision":2,"chain":"9127bb0f4543ce738a0d7c0d18ef25bc838afdbcd3a3061f9b93d6e10036d1ad"}],"total":2}
call history_log {"agent_id": "b", "action": "state_set", "key": "x"}
  {"entries":[],"total":0}
call history_log {"key": "absent"}
  {"entries":[],"total":0}
call history_log {"key": ""}
  {"entries":[],"total":0}
