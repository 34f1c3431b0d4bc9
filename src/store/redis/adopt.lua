-- Puts an imported state in the place of the present one, all of it at once.
--
-- KEYS: every key, in the order of layout.rs, which gives them names; then the same
-- keys of the imported state; then the keys of the first format.
-- ARGV: what may be in its place ('empty': nothing; 'any': another state, which is
-- removed; 'old format': the same state, whose history stays), and for the last one
-- the version and the commit's id that were read; the channel, the new position, its
-- clock and revision, the format and an id for this commit; then how much was sent to
-- each key.
-- Returns what prevents it, if anything does. Then nothing was changed.

local target, channel = ARGV[1], ARGV[4]
local COUNTS = 9
local SIZES = { hash = 'HLEN', zset = 'ZCARD', stream = 'XLEN' }
local half = #KINDS
-- If there was no state in the first format, keys with these names belong to others.
local was_old = redis.call('HGET', META, 'format') == '1'
local old = was_old and { unpack(KEYS, 2 * half + 1) } or {}

local function whole(number) return string.format('%.0f', number) end
local function kind_of(key) return redis.call('TYPE', key)['ok'] end
-- Whether a key is replaced by the imported one. The position and the queue of turns
-- are not.
local function is_replaced(number)
  if number == NUMBER.EVENT or number == NUMBER.EVENT_BY then return target ~= 'old format' end
  return number ~= NUMBER.META and number ~= NUMBER.COMMITS and number ~= NUMBER.QUEUE
end

-- A script that fails in the middle is not undone, so everything that can fail comes
-- before the first write: what the keys hold, on both sides, and further below, what
-- the user is permitted to do.
for number = 1, half do
  local kind, staged = kind_of(KEYS[number]), KEYS[half + number]
  if kind ~= 'none' and kind ~= KINDS[number] then
    return KEYS[number] .. ' holds a ' .. kind
      .. ', which another program wrote: set SIDECAR_REDIS_PREFIX'
  end
  if is_replaced(number) then
    kind = kind_of(staged)
    local size = SIZES[kind] and redis.call(SIZES[kind], staged) or 0
    if size ~= tonumber(ARGV[COUNTS + number]) or (size > 0 and kind ~= KINDS[number]) then
      return 'not all that was sent is there: a name came twice, or keys were removed or evicted ('
        .. staged .. ' holds ' .. size .. ' of ' .. ARGV[COUNTS + number] .. ')'
    end
  end
end
local present = redis.call('HMGET', META, 'version', 'last')
local version = tonumber(present[1] or 0)
if target == 'empty' then
  for _, key in ipairs({ ROW, KEPT, EVENT, unpack(old) }) do
    if redis.call('EXISTS', key) == 1 then
      return 'another state was begun here meanwhile (' .. key .. ')'
    end
  end
else
  if target == 'old format'
    and (version ~= tonumber(ARGV[2]) or (present[2] or '') ~= ARGV[3]) then
    return 'something was written there meanwhile'
  end
  -- If scripts may not ask this, the sidecar has asked just before.
  local listeners = redis.pcall('PUBSUB', 'NUMSUB', channel)
  if not listeners['err'] and listeners[2] > 0 then
    return 'served by ' .. whole(listeners[2]) .. ' sidecars by now; stop them first'
  end
end
-- These commands change nothing, because the key never exists.
local nothing = KEYS[half + NUMBER.QUEUE]
redis.call('HDEL', nothing, 'turn')
redis.call('UNLINK', nothing)
redis.call('PERSIST', nothing)
local renamed = redis.pcall('RENAME', nothing, nothing)
if not string.find(renamed['err'] or '', 'no such key', 1, true) then return renamed end

-- The version increases, so that a sidecar which has read the old state must decide
-- again.
redis.call('HSET', META, 'version', whole(version + 1), 'last', ARGV[9], 'format', ARGV[8],
  'state', ARGV[5], 'clock', ARGV[6])
redis.call('HDEL', META, 'turn', 'turn_until', 'steps')
for _, key in ipairs(old) do redis.call('UNLINK', key) end
for number = 1, half do
  if is_replaced(number) then
    redis.call('UNLINK', KEYS[number])
    if tonumber(ARGV[COUNTS + number]) > 0 then
      redis.call('RENAME', KEYS[half + number], KEYS[number])
      redis.call('PERSIST', KEYS[number])
    end
  end
end
-- If the user may not publish, others find out when they read the position.
redis.pcall('PUBLISH', channel, ARGV[7] .. ' ')
return false
