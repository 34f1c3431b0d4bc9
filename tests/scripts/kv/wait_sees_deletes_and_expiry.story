# Removals are changes too, whether by a call or by expiry.

call state_set {"key": "a", "value": 1}
  {"ok":true,"revision":1}
call state_set {"key": "b", "value": 1, "ttl_seconds": 1}
  {"ok":true,"revision":2}
call state_delete {"key": "a", "agent_id": "x"}
  {"ok":true,"revision":3}
advance 1s
sweep
  removed 1
call state_wait {"prefix": "", "after_revision": 2, "timeout_seconds": 0}
  {"changed":true,"events":[{"id":3,"key":"a","new_value":null,"previous_value":1,"agent_id":"x","written_at":1700000000.0,"action":"state_delete","revision":3,"chain":"d622933880266240604901e2ed82a49896ef5b6e50abfcc9629f82348cc0189c"},{"id":4,"key":"b","new_value":null,"previous_value":1,"agent_id":null,"written_at":1700000001.0,"action":"state_expire","revision":4,"chain":"0ef70efe7530a498ce1400158c5db2e7c547f298be3b58fed963a855ae87e732"}],"revision":4}
