-- Reads keys of the Python reference, all of them at one instant, so that a
-- key's time and its value are the same key's. Changes nothing.
--
-- KEYS: what is to be read.
-- Gives the time in seconds and microseconds, and type, what is left of its
-- time in ms and value of each key; no value where it is no string.

local found = {}
for _, key in ipairs(KEYS) do
  local kind = redis.call('TYPE', key).ok
  local value = kind == 'string' and redis.call('GET', key)
  table.insert(found, { kind, redis.call('PTTL', key), value })
end
return { redis.call('TIME'), found }
