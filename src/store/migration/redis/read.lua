-- Reads keys of the Python reference at one instant, so that the type, the time
-- to live and the value of a key belong together. It changes nothing.
--
-- KEYS: the keys to read.
-- Returns the time in seconds and microseconds and, for each key, its type, its
-- time to live in ms, and its value. Keys that are not strings have no value.

local found = {}
for _, key in ipairs(KEYS) do
  local kind = redis.call('TYPE', key).ok
  local value = kind == 'string' and redis.call('GET', key)
  table.insert(found, { kind, redis.call('PTTL', key), value })
end
return { redis.call('TIME'), found }
