-- Makes a state that has been brought in beside the present one the state,
-- all of it at once.
--
-- KEYS: every place, in the order of layout.rs, then the same places of the
-- state that comes.
-- ARGV: whether a present state may go ('1'), the channel, the new position,
-- its clock and revision, the number of steps, the form of what is written and
-- an id for this, and how many of the places of rows hold how many rows: their
-- number, then place and count each.
-- Gives 'done', 'not empty' or 'incomplete'.

local half = #KEYS / 2
local TABLES = { KV, LEASE, RUN, STEP, SESSION, REQUEST, EVENT }

local function whole(number) return string.format('%.0f', number) end

if ARGV[1] ~= '1' then
  for _, key in ipairs(TABLES) do
    if redis.call('EXISTS', key) == 1 then return 'not empty' end
  end
end
local at = 10
for _ = 1, tonumber(ARGV[9]) do
  if redis.call('HLEN', KEYS[half + tonumber(ARGV[at])]) ~= tonumber(ARGV[at + 1]) then
    return 'incomplete'
  end
  at = at + 2
end

-- As in a commit: first what Redis might refuse. Counting on makes whoever
-- has read the old state decide anew.
local version = tonumber(redis.call('HGET', META, 'version') or 0) + 1
redis.call('HSET', META, 'version', whole(version), 'last', ARGV[8], 'format', ARGV[7],
  'state', ARGV[3], 'clock', ARGV[4], 'steps', ARGV[6])
redis.call('HDEL', META, 'turn', 'turn_until')
for place = 1, half do
  if place ~= NUMBER.META and place ~= NUMBER.COMMITS and place ~= NUMBER.QUEUE then
    redis.call('UNLINK', KEYS[place])
    if redis.call('EXISTS', KEYS[half + place]) == 1 then
      redis.call('RENAME', KEYS[half + place], KEYS[place])
      redis.call('PERSIST', KEYS[place])
    end
  end
end
redis.call('PUBLISH', ARGV[2], ARGV[5] .. ' ')
return 'done'
