-- Commits what was decided, if nothing has been committed since it was read,
-- and hands the turn on. Compares and writes; the rules are not here.
--
-- Every command reads the state's position and every commit counts it on, so
-- the one number `version` is the version of all rows that were read. The last
-- commit's id stands beside it: a Redis that has lost commits may count up to
-- the same number again, over other rows.
--
-- KEYS: every place, in the order of layout.rs.
-- ARGV: the sidecar, the turn's length in ms, the channel; then, where there
-- is something to commit, the version that was read and its commit's id, this
-- commit's id, the form of what is written, the new position, its clock and
-- revision, the change in the number of steps; then writes, each the number of its words, a Redis command, the number of
-- its key, and its arguments.
-- Gives 'done', 'conflict', or 'forgotten': too long ago to say which.

local META, COMMITS, QUEUE = KEYS[1], KEYS[21], KEYS[22]
local me, turn_ms, channel = ARGV[1], tonumber(ARGV[2]), ARGV[3]
local expected, last, id = tonumber(ARGV[4]), ARGV[5], ARGV[6]

-- Commits whose ids are kept: an answer that was lost is asked for again
-- within the callers' deadlines.
local KEPT = 1000

local function whole(number) return string.format('%.0f', number) end

-- Gives the turn to the sidecar that has waited longest, if it is ours to give.
local function hand_on()
  if redis.call('HGET', META, 'turn') ~= me then return '' end
  local heir = redis.call('ZPOPMIN', QUEUE)[1]
  if not heir then
    redis.call('HDEL', META, 'turn', 'turn_until')
    return ''
  end
  local time = redis.call('TIME')
  local server = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
  redis.call('HSET', META, 'turn', heir, 'turn_until', whole(server + turn_ms))
  return heir
end

if not expected then
  local heir = hand_on()
  if heir ~= '' then redis.call('PUBLISH', channel, '- ' .. heir) end
  return 'done'
end

local present = redis.call('HMGET', META, 'version', 'last')
local version = tonumber(present[1] or 0)
if version ~= expected or (present[2] or '') ~= last then
  local made = redis.call('HGET', COMMITS, whole(expected + 1))
  if made == id then return 'done' end
  if version > expected + KEPT then return 'forgotten' end
  return 'conflict'
end

-- First of all writes: where Redis takes none (no memory, read-only, no
-- replicas), it says so here, before anything is written.
redis.call('HSET', META, 'version', whole(expected + 1), 'last', id, 'format', ARGV[7],
  'state', ARGV[8], 'clock', ARGV[9])
if ARGV[11] ~= '0' then redis.call('HINCRBY', META, 'steps', ARGV[11]) end
redis.call('HSET', COMMITS, whole(expected + 1), id)
redis.call('HDEL', COMMITS, whole(expected + 1 - KEPT))

local at = 12
while at <= #ARGV do
  local words = tonumber(ARGV[at])
  redis.call(ARGV[at + 1], KEYS[tonumber(ARGV[at + 2])], unpack(ARGV, at + 3, at + words))
  at = at + words + 1
end
redis.call('PUBLISH', channel, ARGV[10] .. ' ' .. hand_on())
return 'done'
