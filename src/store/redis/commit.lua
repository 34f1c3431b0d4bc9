-- Commits what was decided, if nothing was committed since it was read, and passes
-- the turn on. It only compares and writes; the rules are not here.
--
-- Every command reads the state's position, and every commit increases `version`, so
-- this number is the version of all rows that were read. The id of the last commit is
-- compared too, because a Redis that has lost commits may reach the same number again
-- with other rows.
--
-- KEYS: every key, in the order of layout.rs, which gives them names.
-- ARGV: the sidecar, the length of a turn in ms, the channel; then, if there is
-- something to commit, the version that was read and the id of its commit, the id of
-- this commit, the format, the new position, its clock and revision, and the revision
-- before; then writes, each the number of its words, a Redis command, the number of
-- its key, and its arguments.
-- Returns 'done', 'conflict', 'forgotten' (it is too long ago to say which), the name
-- of a key that holds something else, or 'broken' and what Redis refused in the middle.

local sidecar, turn_ms, channel = ARGV[1], tonumber(ARGV[2]), ARGV[3]
local expected, last, id = tonumber(ARGV[4]), ARGV[5], ARGV[6]

-- How many commits' ids are kept, at some 80 bytes each. If an answer was lost, the
-- commit is sent again within the callers' deadlines, which is half a minute, and four
-- busy sidecars make a thousand commits a second.
local KEPT = 50000

local function whole(number) return string.format('%.0f', number) end

local time = redis.call('TIME')
local server = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)

-- Gives the turn to the sidecar that has waited longest, unless another one has it.
-- With `line_up`, this sidecar joins the end of the queue if others wait, because a
-- sidecar that was just answered soon has more to commit.
local function pass_turn(line_up)
  local turn = redis.call('HMGET', META, 'turn', 'turn_until')
  local left = tonumber(turn[2] or 0) - server
  if turn[1] and turn[1] ~= sidecar and left > 0 and left <= turn_ms then return '' end
  local next = redis.call('ZPOPMIN', QUEUE)[1]
  -- This sidecar waited until another one's turn was over, or never had to wait.
  if next == sidecar then next = redis.call('ZPOPMIN', QUEUE)[1] end
  if not next then
    if turn[1] then redis.call('HDEL', META, 'turn', 'turn_until') end
    return ''
  end
  if line_up then redis.call('ZADD', QUEUE, server, sidecar) end
  redis.call('HSET', META, 'turn', next, 'turn_until', whole(server + turn_ms))
  return next
end

-- If the user may not publish, the others find out when they read the position.
local function announce(revision, next) redis.pcall('PUBLISH', channel, revision .. ' ' .. next) end

if not expected then
  local next = pass_turn(false)
  if next ~= '' then announce('-', next) end
  return 'done'
end

local present = redis.call('HMGET', META, 'version', 'last')
local version = tonumber(present[1] or 0)
if version ~= expected or (present[2] or '') ~= last then
  local made = redis.call('HGET', COMMITS, whole(expected + 1))
  if made == id then return 'done' end
  if version > expected + KEPT then return 'forgotten' end
  -- Two sidecars went ahead because nobody had the turn. The next commit gives it.
  redis.call('ZADD', QUEUE, 'NX', server, sidecar)
  return 'conflict'
end

-- A script that fails in the middle is not undone, so everything that can fail is
-- checked first: what each key holds and, by the first write, whether Redis accepts
-- writes at all (it may lack memory or replicas, or be read-only).
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

-- Nothing should fail now, because every command was tested at the start. If one does,
-- because a permission was revoked, the others are executed and the state is reported
-- as broken.
local broken
local at = 12
while at <= #ARGV do
  local words = tonumber(ARGV[at])
  local key = KEYS[tonumber(ARGV[at + 2])]
  local wrote = redis.pcall(ARGV[at + 1], key, unpack(ARGV, at + 3, at + words))
  if type(wrote) == 'table' and wrote['err'] then broken = wrote['err'] end
  at = at + words + 1
end
announce(ARGV[10], pass_turn(true))
return broken and 'broken ' .. broken or 'done'
