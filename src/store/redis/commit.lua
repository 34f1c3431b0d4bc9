-- Commits what was decided, if nothing has been committed since it was read,
-- and hands the turn on. Compares and writes; the rules are not here.
--
-- Every command reads the state's position and every commit counts it on, so
-- the one number `version` is the version of all rows that were read. The last
-- commit's id stands beside it: a Redis that has lost commits may count up to
-- the same number again, over other rows.
--
-- KEYS: every place, in the order of layout.rs, which names them.
-- ARGV: the sidecar, a turn's length in ms, the channel; then, where there is
-- something to commit, the version that was read and its commit's id, this
-- commit's id, the form of what is written, the new position, its clock and
-- revision, the revision before; then writes, each the number of its words, a Redis command, the number of its key,
-- and its arguments.
-- Gives 'done', 'conflict', 'forgotten' (too long ago to say which), the key
-- that holds what it should not, or 'broken' and what Redis refused half-way.

local me, turn_ms, channel = ARGV[1], tonumber(ARGV[2]), ARGV[3]
local expected, last, id = tonumber(ARGV[4]), ARGV[5], ARGV[6]

-- Commits whose ids are kept, some 80 bytes each. An answer that was lost is
-- asked for again within the callers' deadlines, half a minute; four busy
-- sidecars commit a thousand times a second.
local KEPT = 50000

local function whole(number) return string.format('%.0f', number) end

local time = redis.call('TIME')
local server = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)

-- Gives the turn to the sidecar that has waited longest, unless another one
-- has it. While others wait, this one lines up behind them: whoever was just
-- answered soon asks again.
local function hand_on(line_up)
  local turn = redis.call('HMGET', META, 'turn', 'turn_until')
  local left = tonumber(turn[2] or 0) - server
  if turn[1] and turn[1] ~= me and left > 0 and left <= turn_ms then return '' end
  local heir = redis.call('ZPOPMIN', QUEUE)[1]
  -- Somebody else's turn was over, or this one never had to ask for it.
  if heir == me then heir = redis.call('ZPOPMIN', QUEUE)[1] end
  if not heir then
    if turn[1] then redis.call('HDEL', META, 'turn', 'turn_until') end
    return ''
  end
  if line_up then redis.call('ZADD', QUEUE, server, me) end
  redis.call('HSET', META, 'turn', heir, 'turn_until', whole(server + turn_ms))
  return heir
end

-- Nobody may be allowed to publish: then the others look by themselves.
local function tell(revision, heir) redis.pcall('PUBLISH', channel, revision .. ' ' .. heir) end

if not expected then
  local heir = hand_on(false)
  if heir ~= '' then tell('-', heir) end
  return 'done'
end

local present = redis.call('HMGET', META, 'version', 'last')
local version = tonumber(present[1] or 0)
if version ~= expected or (present[2] or '') ~= last then
  local made = redis.call('HGET', COMMITS, whole(expected + 1))
  if made == id then return 'done' end
  if version > expected + KEPT then return 'forgotten' end
  -- Two went ahead because nobody had the turn: the next commit gives it.
  redis.call('ZADD', QUEUE, 'NX', server, me)
  return 'conflict'
end

-- A script that fails half-way is not undone, so whatever can fail is looked
-- at first: what each key holds, and with the first write whether Redis takes
-- any (no memory, read-only, no replicas).
for i = 1, #KEYS do
  local kind = redis.call('TYPE', KEYS[i])['ok']
  if kind ~= KINDS[i] and kind ~= 'none' then return KEYS[i] .. ' holds a ' .. kind end
end
local newest = redis.call('XREVRANGE', EVENT, '+', '-', 'COUNT', 1)[1]
if newest and tonumber(string.match(newest[1], '%d+')) > tonumber(ARGV[11]) then
  return EVENT .. ' holds events that the position does not know'
end
redis.call('HSET', META, 'version', whole(expected + 1), 'last', id, 'format', ARGV[7],
  'state', ARGV[8], 'clock', ARGV[9])
redis.call('HSET', COMMITS, whole(expected + 1), id)
redis.call('HDEL', COMMITS, whole(expected + 1 - KEPT))

-- Nothing that was tried out should fail now. If it does (somebody took a right
-- away), as much as can be is written, and said to be broken.
local broken
local at = 12
while at <= #ARGV do
  local words = tonumber(ARGV[at])
  local key = KEYS[tonumber(ARGV[at + 2])]
  local wrote = redis.pcall(ARGV[at + 1], key, unpack(ARGV, at + 3, at + words))
  if type(wrote) == 'table' and wrote['err'] then broken = wrote['err'] end
  at = at + words + 1
end
tell(ARGV[10], hand_on(true))
return broken and 'broken ' .. broken or 'done'
