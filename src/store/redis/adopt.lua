-- Makes a state that has been brought in beside the present one the state,
-- all of it at once.
--
-- KEYS: every place, in the order of layout.rs, which names them, then the same
-- places of the state that comes.
-- ARGV: whether a present state may go ('1'), the channel, the new position,
-- its clock and revision, the number of steps, the form of what is written and
-- an id for this; then how much was sent to each place.
-- Gives 'done', 'not empty', 'in use', 'incomplete' or 'foreign', and what is
-- to be said about it.

local replace, channel = ARGV[1] == '1', ARGV[2]
local COUNTS = 8
local SIZES = { hash = 'HLEN', zset = 'ZCARD', stream = 'XLEN' }
local half = #KEYS / 2

local function whole(number) return string.format('%.0f', number) end
local function kind_of(key) return redis.call('TYPE', key)['ok'] end
-- Places that are not the state's own stay.
local function moves(place)
  return place ~= NUMBER.META and place ~= NUMBER.COMMITS and place ~= NUMBER.QUEUE
end

-- A script that fails half-way is not undone. So whatever can fail comes before
-- the first write: what the keys hold, on both sides, and below, what the user
-- may do.
for place = 1, half do
  local kind, coming = kind_of(KEYS[place]), KEYS[half + place]
  if kind ~= 'none' and kind ~= KINDS[place] then
    return { 'foreign', KEYS[place] .. ' holds a ' .. kind }
  end
  if moves(place) then
    kind = kind_of(coming)
    local size = SIZES[kind] and redis.call(SIZES[kind], coming) or 0
    if size ~= tonumber(ARGV[COUNTS + place]) or (size > 0 and kind ~= KINDS[place]) then
      return { 'incomplete', coming .. ' holds ' .. size .. ' of ' .. ARGV[COUNTS + place] }
    end
  end
end
if not replace then
  for _, key in ipairs({ KV, LEASE, RUN, STEP, SESSION, REQUEST, EVENT }) do
    if redis.call('EXISTS', key) == 1 then return { 'not empty', key } end
  end
else
  -- Who may not ask has asked just before, by itself.
  local told = redis.pcall('PUBSUB', 'NUMSUB', channel)
  if not told['err'] and told[2] > 0 then return { 'in use', whole(told[2]) } end
end
-- On a key that is never there these change nothing.
local nothing = KEYS[half + NUMBER.QUEUE]
redis.call('HDEL', nothing, 'turn')
redis.call('UNLINK', nothing)
redis.call('PERSIST', nothing)
local renamed = redis.pcall('RENAME', nothing, nothing)
if not string.find(renamed['err'] or '', 'no such key', 1, true) then return renamed end

-- Counting on makes whoever has read the old state decide anew.
local version = tonumber(redis.call('HGET', META, 'version') or 0) + 1
redis.call('HSET', META, 'version', whole(version), 'last', ARGV[8], 'format', ARGV[7],
  'state', ARGV[3], 'clock', ARGV[4], 'steps', ARGV[6])
redis.call('HDEL', META, 'turn', 'turn_until')
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
redis.pcall('PUBLISH', channel, ARGV[5] .. ' ')
return { 'done', '' }
