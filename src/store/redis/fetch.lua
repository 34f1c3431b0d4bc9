-- Reads what commands or a question need at one instant, and says whose turn it is
-- to commit. It only looks up and compares. It knows neither the rules nor the kinds
-- of row.
--
-- KEYS: every key, in the order of layout.rs, which gives them names.
-- ARGV: the sidecar that wants to commit (empty if it only reads), the length of a
-- turn in ms, the time in ms (empty for this server's own), the number and the id of
-- the newest commit that the sidecar has seen, how many bytes of rows it accepts, the
-- beginnings of the two kinds of index entry that contain a deadline; then requests,
-- each a verb and its arguments.
-- Returns 'wait' or 'too large', or: the time, the number of commits and the id of
-- the last one, the state's position, whether a deadline lies between the state's
-- clock and the time, whether the sidecar has the turn, whether commits that it has
-- seen are lost, and what each verb found.

-- How many members or fields one call handles. unpack has a limit of some thousands.
local CHUNK = 500
-- How many events one call reads. Their values may be large.
local ENTRIES = 32
-- The minimum size that a row counts for, as in the rules.
local ROW_BYTES = 64

-- This changes nothing, but only a primary accepts it. A replica must not answer as
-- if it were the primary.
redis.call('PERSIST', META)

local function whole(number) return string.format('%.0f', number) end

local position =
  redis.call('HMGET', META, 'version', 'state', 'clock', 'turn', 'turn_until', 'last')
local version, clock = tonumber(position[1] or 0), tonumber(position[3] or 0)
local time = redis.call('TIME')
local server = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local now = math.max(tonumber(ARGV[3]) or server, clock)

-- Turns are measured by the server's own clock, even if the state uses another one.
-- If a turn has more time left than its whole length, another clock measured it.
local sidecar, turn_ms, holder = ARGV[1], tonumber(ARGV[2]), position[4]
local left = tonumber(position[5] or 0) - server
local has_turn = holder == sidecar
if sidecar ~= '' and holder and not has_turn and left > 0 and left <= turn_ms then
  -- Only joining the queue writes, so that asking again costs Redis no sync.
  if not redis.call('ZSCORE', QUEUE, sidecar) then redis.call('ZADD', QUEUE, server, sidecar) end
  return { 'wait' }
end

-- A commit that was seen is still there, unless Redis has lost it.
local seen, seen_id = tonumber(ARGV[4]), ARGV[5]
local made = seen > 0 and seen <= version and redis.call('HGET', COMMITS, whole(seen))
local lost = seen > version or (made and made ~= seen_id)

local bytes, bytes_max = 0, tonumber(ARGV[6])

local at = 8
local function take()
  at = at + 1
  return ARGV[at]
end
local function take_number() return tonumber(take()) end
local function take_key() return KEYS[take_number()] end
local function take_list()
  local list = {}
  for i = 1, take_number() do list[i] = take() end
  return list
end

-- The first bytes after all those that begin with a time.
local function after(time)
  return struct.pack('>I4I4', math.floor((time + 1) / 4294967296), (time + 1) % 4294967296)
end

-- The first bytes after all those that begin with a prefix.
local function end_of(prefix)
  local last = #prefix
  while string.byte(prefix, last) == 255 do last = last - 1 end
  return string.sub(prefix, 1, last - 1) .. string.char(string.byte(prefix, last) + 1)
end

-- The value under an id: a row, or the event with that revision.
local function value_of(key, id)
  if key ~= EVENT then return redis.call('HGET', key, id) end
  local revision = whole(tonumber(id))
  local entry = redis.call('XRANGE', EVENT, revision, revision)[1]
  return entry and entry[2][2]
end

local verbs = {}

-- Rows by id, or false if there is none.
function verbs.rows()
  local hash, ids, found = take_key(), take_list(), {}
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

-- A bound: given in bytes, a placeholder for a time, or none.
local function take_bound(present)
  local bound = take()
  local kind = string.sub(bound, 1, 1)
  if kind == 'p' then return after(present) end
  return kind == 'b' and string.sub(bound, 2) or nil
end

-- Members that follow each of some prefixes: a parallel walk along these, as in
-- index.rs. Returns the members, where the walk stopped if it had looked at too many,
-- and the first rows or events, whose ids follow `skip` bytes of the members. It
-- returns so many of these that they have enough bytes, but at least two. A caller
-- that needs more asks again, and many need none.
function verbs.search()
  local values, entries = take_key(), take_key()
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
    -- No earlier position can have a member under all prefixes.
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
    local value = value_of(values, string.sub(found[i], skip + 1))
    local size = value and #value or 0
    rows[i], bytes, enough = value, bytes + size, enough - math.max(size, ROW_BYTES)
  end
  return { found, stopped, rows }
end

-- Events of the stream, in the order of `command`, until there are enough events or
-- enough bytes, but at least two. With a prefix, only events of keys that begin with
-- it; such events name their keys.
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

local deadline_passed = passed(ARGV[7]) or passed(ARGV[8])
local found = {}
while at < #ARGV do
  found[#found + 1] = verbs[take()]()
  if bytes > bytes_max then return { 'too large' } end
end
return {
  whole(now), version, position[6] or '', position[2], deadline_passed and 1 or 0,
  has_turn and 1 or 0, lost and 1 or 0, found,
}
