-- Reads what a command or a question needs, all at one instant, and says
-- whose turn it is to commit. Looks up and compares; the rules are not here, nor
-- what kinds of row there are.
--
-- KEYS: every place, in the order of layout.rs, which names them.
-- ARGV: the sidecar that wants to commit (empty: it only reads), a turn's
-- length in ms, the time in ms (empty: this server's own), the newest commit
-- that the sidecar has seen (its number and id), the bytes of rows that it
-- takes, the beginnings of the two kinds of entry that have a deadline; then
-- requests, each a verb and its arguments.
-- Gives 'wait' or 'much', or: time, commits so far and the id of the last one,
-- the state's position, whether a deadline lies between the state's clock and
-- the time, whether the sidecar has the turn, whether what it had seen is gone,
-- and what each verb found.

-- Members and fields handled at a time: unpack has a limit of some thousands.
local CHUNK = 500
-- Events looked at in one call: their values may be large.
local ENTRIES = 32
-- What a row weighs at least; the rules count its names and values and as much.
local ROW_BYTES = 64

-- A replica must not answer as if it were the primary. This changes nothing,
-- and only a primary accepts it.
redis.call('PERSIST', META)

local function whole(number) return string.format('%.0f', number) end

local position =
  redis.call('HMGET', META, 'version', 'state', 'clock', 'turn', 'turn_until', 'last')
local version, clock = tonumber(position[1] or 0), tonumber(position[3] or 0)
local time = redis.call('TIME')
local server = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local now = math.max(tonumber(ARGV[3]) or server, clock)

-- Turns are measured by the server's own clock, whoever drives the state's. A
-- turn of which more is left than there can be was given by another clock.
local me, turn_ms, holder = ARGV[1], tonumber(ARGV[2]), position[4]
local left = tonumber(position[5] or 0) - server
local mine = holder == me
if me ~= '' and holder and not mine and left > 0 and left <= turn_ms then
  -- Only who joins writes: asking again costs Redis no sync.
  if not redis.call('ZSCORE', QUEUE, me) then redis.call('ZADD', QUEUE, server, me) end
  return { 'wait' }
end

-- Commits that were seen do not go away, unless Redis lost them.
local seen, seen_id = tonumber(ARGV[4]), ARGV[5]
local made = seen > 0 and seen <= version and redis.call('HGET', COMMITS, whole(seen))
local astray = seen > version or (made and made ~= seen_id)

local bytes, bytes_max = 0, tonumber(ARGV[6])

local at = 8
local function take()
  at = at + 1
  return ARGV[at]
end
local function take_number() return tonumber(take()) end
local function take_place() return KEYS[take_number()] end
local function take_list()
  local list = {}
  for i = 1, take_number() do list[i] = take() end
  return list
end

-- The first bytes behind all that begin with a time.
local function after(time)
  return struct.pack('>I4I4', math.floor((time + 1) / 4294967296), (time + 1) % 4294967296)
end

-- The first bytes behind all that begin with these.
local function end_of(prefix)
  local last = #prefix
  while string.byte(prefix, last) == 255 do last = last - 1 end
  return string.sub(prefix, 1, last - 1) .. string.char(string.byte(prefix, last) + 1)
end

-- What lies under an id: a row, or an event under its revision.
local function value_of(place, id)
  if place ~= EVENT then return redis.call('HGET', place, id) end
  local revision = whole(tonumber(id))
  local entry = redis.call('XRANGE', EVENT, revision, revision)[1]
  return entry and entry[2][2]
end

local verbs = {}

-- Rows by id, false where there is none.
function verbs.rows()
  local hash, ids, found = take_place(), take_list(), {}
  for i = 1, #ids do
    bytes = bytes + redis.call('HSTRLEN', hash, ids[i])
    if bytes > bytes_max then return found end
  end
  for first = 1, #ids, CHUNK do
    local last = math.min(first + CHUNK - 1, #ids)
    local values = redis.call('HMGET', hash, unpack(ids, first, last))
    for i = 1, #values do found[#found + 1] = values[i] end
  end
  return found
end

-- A bound that is spelled out, or stands for a time, or is none.
local function take_bound(present)
  local bound = take()
  local kind = string.sub(bound, 1, 1)
  if kind == 'p' then return after(present) end
  return kind == 'b' and string.sub(bound, 2) or nil
end

-- Members that stand behind all of some prefixes: a walk along these in step, as in
-- index.rs. Gives them, where the walk stopped if it had looked at too much, and
-- the first rows or events: behind `skip` bytes stands an id. They come until there
-- are enough bytes of them, two at least: whoever needs more asks, and many need
-- none.
function verbs.search()
  local place, entries = take_place(), take_place()
  local low, high = take_bound(clock), take_bound(now)
  local reverse, limit, looks, skip = take() == '1', take_number(), take_number(), take_number()
  local enough = take_number()
  local prefixes, found, stopped = take_list(), {}, false
  local function range(prefix, count)
    local first, last = '[' .. prefix .. low, '(' .. (high and prefix .. high or end_of(prefix))
    if reverse then
      return redis.call('ZREVRANGEBYLEX', entries, last, first, 'LIMIT', 0, count)
    end
    return redis.call('ZRANGEBYLEX', entries, first, last, 'LIMIT', 0, count)
  end
  if #prefixes == 1 then
    for i, entry in ipairs(range(prefixes[1], limit)) do
      found[i] = string.sub(entry, #prefixes[1] + 1)
    end
  end
  local agreed, looked = 0, 0
  while #prefixes > 1 and #found < limit do
    if looked >= looks then
      stopped = reverse and high or low
      break
    end
    local prefix = prefixes[looked % #prefixes + 1]
    looked = looked + 1
    local entry = range(prefix, 1)[1]
    if not entry then break end
    local next = string.sub(entry, #prefix + 1)
    -- The farthest place that may still list a row under all.
    local bound = reverse and next .. '\0' or next
    agreed = (agreed > 0 and bound == (reverse and high or low)) and agreed + 1 or 1
    if reverse then high = bound else low = bound end
    if agreed == #prefixes then
      if reverse then high = next else low = next .. '\0' end
      found[#found + 1] = next
      agreed = 0
    end
  end
  local rows = {}
  for i = 1, #found do
    if (enough < 0 and i > 2) or bytes > bytes_max then break end
    local value = value_of(place, string.sub(found[i], skip + 1))
    local size = value and #value or 0
    rows[i], bytes, enough = value, bytes + size, enough - math.max(size, ROW_BYTES)
  end
  return { found, stopped, rows }
end

-- Events of the stream, in the order of `command`, until there are enough of them or
-- of their bytes, two at least; those of keys that begin so, where that is given: events of keys
-- name theirs.
function verbs.events()
  local command, from, to = take(), take(), take()
  local limit, enough, prefix, found = take_number(), take_number(), take_bound(), {}
  local function fits(fields)
    if not prefix then return true end
    return fields[3] == 'key' and string.sub(fields[4], 1, #prefix) == prefix
  end
  while true do
    local entries = redis.call(command, EVENT, from, to, 'COUNT', ENTRIES)
    for _, entry in ipairs(entries) do
      if #found >= limit or (enough < 0 and #found > 1) then return { {}, false, found } end
      if fits(entry[2]) then
        found[#found + 1] = entry[2][2]
        enough = enough - #entry[2][2]
      end
    end
    if #entries < ENTRIES then return { {}, false, found } end
    from = '(' .. entries[#entries][1]
  end
end

local function passed(prefix)
  local low, high = '[' .. prefix .. after(clock), '(' .. prefix .. after(now)
  return #redis.call('ZRANGEBYLEX', ENTRY, low, high, 'LIMIT', 0, 1) > 0
end

local late = passed(ARGV[7]) or passed(ARGV[8])
local found = {}
while at < #ARGV do
  found[#found + 1] = verbs[take()]()
  if bytes > bytes_max then return { 'much' } end
end
return {
  whole(now), version, position[6] or '', position[2], late and 1 or 0, mine and 1 or 0,
  astray and 1 or 0, found,
}
