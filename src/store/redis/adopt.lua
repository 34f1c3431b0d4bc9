-- Makes a state that has been brought in beside the present one the state,
-- all of it at once.
--
-- KEYS: every place, in the order of layout.rs, which names them, then the same
-- places of the state that comes, then keys of the form before this one.
-- ARGV: what it takes (an empty 'place'; 'any' state, which goes; or the old
-- 'form' of the same state, whose history stays), for the last the version and
-- the commit's id that were read; the channel, the new position, its clock and
-- revision, the form of what is written and an id for this; then how much was
-- sent to each place.
-- Gives what is in the way, if anything is: then nothing was changed.

local takes, channel = ARGV[1], ARGV[4]
local COUNTS = 9
local SIZES = { hash = 'HLEN', zset = 'ZCARD', stream = 'XLEN' }
local half = #KINDS
-- Under these names others may keep what is theirs, where ours never was.
local was_old = redis.call('HGET', META, 'format') == '1'
local old = was_old and { unpack(KEYS, 2 * half + 1) } or {}

local function whole(number) return string.format('%.0f', number) end
local function kind_of(key) return redis.call('TYPE', key)['ok'] end
-- Places that are not the state's own stay.
local function moves(place)
  if place == NUMBER.EVENT or place == NUMBER.EVENT_BY then return takes ~= 'form' end
  return place ~= NUMBER.META and place ~= NUMBER.COMMITS and place ~= NUMBER.QUEUE
end

-- A script that fails half-way is not undone. So whatever can fail comes before
-- the first write: what the keys hold, on both sides, and below, what the user
-- may do.
for place = 1, half do
  local kind, coming = kind_of(KEYS[place]), KEYS[half + place]
  if kind ~= 'none' and kind ~= KINDS[place] then
    return KEYS[place] .. ' holds a ' .. kind
      .. ', which another program wrote: set SIDECAR_REDIS_PREFIX'
  end
  if moves(place) then
    kind = kind_of(coming)
    local size = SIZES[kind] and redis.call(SIZES[kind], coming) or 0
    if size ~= tonumber(ARGV[COUNTS + place]) or (size > 0 and kind ~= KINDS[place]) then
      return 'not all that was sent is there: a name came twice, or keys were removed or evicted ('
        .. coming .. ' holds ' .. size .. ' of ' .. ARGV[COUNTS + place] .. ')'
    end
  end
end
local present = redis.call('HMGET', META, 'version', 'last')
local version = tonumber(present[1] or 0)
if takes == 'place' then
  for _, key in ipairs({ ROW, KEPT, EVENT, unpack(old) }) do
    if redis.call('EXISTS', key) == 1 then
      return 'another state has come to this place meanwhile (' .. key .. ')'
    end
  end
else
  if takes == 'form' and (version ~= tonumber(ARGV[2]) or (present[2] or '') ~= ARGV[3]) then
    return 'something was written there meanwhile'
  end
  -- Who may not ask has asked just before, by itself.
  local told = redis.pcall('PUBSUB', 'NUMSUB', channel)
  if not told['err'] and told[2] > 0 then
    return 'served by ' .. whole(told[2]) .. ' sidecars by now; stop them first'
  end
end
-- On a key that is never there these change nothing.
local nothing = KEYS[half + NUMBER.QUEUE]
redis.call('HDEL', nothing, 'turn')
redis.call('UNLINK', nothing)
redis.call('PERSIST', nothing)
local renamed = redis.pcall('RENAME', nothing, nothing)
if not string.find(renamed['err'] or '', 'no such key', 1, true) then return renamed end

-- Counting on makes whoever has read the old state decide anew.
redis.call('HSET', META, 'version', whole(version + 1), 'last', ARGV[9], 'format', ARGV[8],
  'state', ARGV[5], 'clock', ARGV[6])
redis.call('HDEL', META, 'turn', 'turn_until', 'steps')
for _, key in ipairs(old) do redis.call('UNLINK', key) end
for place = 1, half do
  if moves(place) then
    redis.call('UNLINK', KEYS[place])
    if tonumber(ARGV[COUNTS + place]) > 0 then
      redis.call('RENAME', KEYS[half + place], KEYS[place])
      redis.call('PERSIST', KEYS[place])
    end
  end
end
-- Nobody may be allowed to publish: then others look by themselves.
redis.pcall('PUBLISH', channel, ARGV[7] .. ' ')
return false
