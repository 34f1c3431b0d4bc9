-- Reads what a command or a question needs, all at one instant, and says
-- whose turn it is to commit. Looks up and compares; the rules are not here.
--
-- KEYS: every place, in the order of layout.rs, which names them.
-- ARGV: the sidecar that wants to commit (empty: it only reads), a turn's
-- length in ms, the time in ms (empty: this server's own), the newest commit
-- that the sidecar has seen (its number and id), the bytes of rows that it
-- takes; then requests, each a verb and its arguments.
-- Gives 'wait' or 'much', or: time, commits so far and the id of the last one,
-- the state's position, number of remembered requests, whether a deadline lies
-- between the state's clock and the time, whether the sidecar has the turn,
-- whether what it had seen is gone, and what each verb found.

-- Members and fields handled at a time: unpack has a limit of some thousands.
local CHUNK = 500
-- Digits of a revision and of a priority in the members of run indexes.
local DIGITS = 16
-- Digits of a revision in the members of the event index.
local EVENT_DIGITS = 20

-- A replica must not answer as if it were the primary. This changes nothing,
-- and only a primary accepts it.
redis.call('PERSIST', META)

local function whole(number) return string.format('%.0f', number) end

local position =
  redis.call('HMGET', META, 'version', 'state', 'clock', 'steps', 'turn', 'turn_until', 'last')
local version, clock = tonumber(position[1] or 0), tonumber(position[3] or 0)
local time = redis.call('TIME')
local server = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local now = math.max(tonumber(ARGV[3]) or server, clock)

-- Turns are measured by the server's own clock, whoever drives the state's. A
-- turn of which more is left than there can be was given by another clock.
local me, turn_ms, holder = ARGV[1], tonumber(ARGV[2]), position[5]
local left = tonumber(position[6] or 0) - server
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

local bytes, bytes_max, much = 0, tonumber(ARGV[6]), false

local at = 6
local function take()
  at = at + 1
  return ARGV[at]
end
local function take_number() return tonumber(take()) end
local function take_list()
  local list = {}
  for i = 1, take_number() do list[i] = take() end
  return list
end

-- Whether the value of this field goes along with what was read already.
local function fits(hash, field)
  bytes = bytes + redis.call('HSTRLEN', hash, field)
  return bytes <= bytes_max
end

-- The values of these fields, false where there is none.
local function rows(hash, fields)
  local found = {}
  for i = 1, #fields do
    if not fits(hash, fields[i]) then
      much = true
      return found
    end
  end
  for first = 1, #fields, CHUNK do
    local last = math.min(first + CHUNK - 1, #fields)
    local values = redis.call('HMGET', hash, unpack(fields, first, last))
    for i = 1, #values do found[#found + 1] = values[i] end
  end
  return found
end

-- Shows `visit` the members that begin with `prefix`, in order, until it says
-- true. No member has the byte 255 behind its prefix: all of it is UTF-8.
local function walk(index, prefix, low, visit)
  local high = '(' .. prefix .. '\255'
  while true do
    local members = redis.call('ZRANGEBYLEX', index, low, high, 'LIMIT', 0, CHUNK)
    for i = 1, #members do
      if visit(members[i]) then return end
    end
    if #members < CHUNK then return end
    low = '(' .. members[#members]
  end
end

-- The same from the end, or from before the member `before`.
local function walk_back(index, prefix, before, visit)
  local low, high = '[' .. prefix, '(' .. prefix .. (before ~= '' and before or '\255')
  while true do
    local members = redis.call('ZREVRANGEBYLEX', index, high, low, 'LIMIT', 0, CHUNK)
    for i = 1, #members do
      if visit(members[i]) then return end
    end
    if #members < CHUNK then return end
    high = '(' .. members[#members]
  end
end

-- Whether `rest` stands behind each of these beginnings but the first.
local function in_others(index, beginnings, rest)
  for i = 2, #beginnings do
    if not redis.call('ZSCORE', index, beginnings[i] .. rest) then return false end
  end
  return true
end

-- In the list of runs the creation comes first, elsewhere the priority: this
-- turns one form into the other.
local function swapped(rest)
  return string.sub(rest, DIGITS + 1, 2 * DIGITS) .. string.sub(rest, 1, DIGITS)
    .. string.sub(rest, 2 * DIGITS + 1)
end
local function id_of(rest) return string.sub(rest, 2 * DIGITS + 1) end

local function passed(index)
  return #redis.call('ZRANGEBYSCORE', index, '(' .. whole(clock), whole(now), 'LIMIT', 0, 1) > 0
end

local function events_at(revisions)
  local found = {}
  for i = 1, #revisions do
    local id = whole(tonumber(revisions[i]))
    local entries = redis.call('XRANGE', EVENT, id, id)
    if entries[1] then found[#found + 1] = entries[1][2][2] end
  end
  return found
end

local verbs = {}

function verbs.rows() return rows(KEYS[take_number()], take_list()) end

-- The best runs that may be had now, and the first that may be had later.
function verbs.candidates()
  local limit, facets = take_number(), take_list()
  local facet, ids = facets[1], {}
  walk(RUN_READY, facet, '[' .. facet, function(member)
    local rank = string.sub(member, #facet + 1)
    if in_others(RUN_READY, facets, rank) then ids[#ids + 1] = id_of(rank) end
    return #ids >= limit
  end)
  -- From here on a time stands before the rank.
  local present = #facet + DIGITS
  local after_now = facet .. string.format('%016x', now + 1)
  local lapsed, later = {}, 0
  walk(RUN_WAITING, facet, '[' .. facet, function(member)
    if string.sub(member, 1, present) >= after_now then return true end
    local rank = string.sub(member, present + 1)
    if in_others(RUN_LISTED, facets, swapped(rank)) then lapsed[#lapsed + 1] = rank end
  end)
  table.sort(lapsed)
  for i = 1, math.min(limit, #lapsed) do ids[#ids + 1] = id_of(lapsed[i]) end
  walk(RUN_WAITING, facet, '[' .. after_now, function(member)
    local rank = string.sub(member, present + 1)
    if in_others(RUN_LISTED, facets, swapped(rank)) then
      ids[#ids + 1] = id_of(rank)
      later = later + 1
    end
    return later >= limit
  end)
  return rows(RUN, ids)
end

-- Every run below one, at any depth.
function verbs.descendants()
  local ids, seen, queue = {}, {}, { take() }
  seen[queue[1]] = true
  while #queue > 0 do
    local parent = table.remove(queue)
    local prefix = 'c' .. string.format('%08x', #parent) .. parent
    walk(RUN_CHILD, prefix, '[' .. prefix, function(member)
      local id = string.sub(member, #prefix + DIGITS + 1)
      if not seen[id] then
        seen[id] = true
        ids[#ids + 1] = id
        queue[#queue + 1] = id
      end
    end)
  end
  return rows(RUN, ids)
end

-- Rows whose time is over, the earliest of each kind.
function verbs.due()
  local limit, remembered = take_number(), take_number()
  local found = {}
  local function add(hash, index, ends)
    local names = redis.call('ZRANGEBYSCORE', index, '-inf', whole(ends), 'LIMIT', 0, limit)
    for _, name in ipairs(names) do
      -- What is left is due at the next sweep, too.
      if not fits(hash, name) and #found > 0 then return end
      found[#found + 1] = redis.call('HGET', hash, name)
    end
  end
  add(KV, KV_DUE, now)
  add(LEASE, LEASE_DUE, now)
  add(REQUEST, REQUEST_AGE, now - remembered)
  return found
end

function verbs.counts()
  local function over(index) return redis.call('ZCOUNT', index, '-inf', whole(now)) end
  return {
    redis.call('HLEN', KV) - over(KV_DUE),
    redis.call('HLEN', RUN),
    tonumber(position[4] or 0),
    redis.call('HLEN', LEASE) - over(LEASE_DUE),
    redis.call('HLEN', SESSION),
  }
end

function verbs.oldest()
  return rows(REQUEST, redis.call('ZRANGE', REQUEST_AGE, 0, take_number() - 1))
end

-- Rows that live, in the order of their names.
function verbs.names()
  local hash, index, due = KEYS[take_number()], KEYS[take_number()], KEYS[take_number()]
  local limit, prefix, low = take_number(), take(), take()
  local names = {}
  walk(index, prefix, low, function(name)
    local ends = due and redis.call('ZSCORE', due, name)
    if not ends or tonumber(ends) > now then names[#names + 1] = name end
    return #names >= limit
  end)
  return rows(hash, names)
end

-- Runs, newest first.
function verbs.runs()
  local limit, claimable, before, facets = take_number(), take(), take(), take_list()
  local ids = {}
  walk_back(RUN_LISTED, facets[1], before, function(member)
    local rest = string.sub(member, #facets[1] + 1)
    local fits = in_others(RUN_LISTED, facets, rest)
    if fits and claimable ~= '' then
      local from = redis.call('ZSCORE', RUN_FREE, swapped(rest))
      local free = from and tonumber(from) <= now
      fits = (free and '1' or '0') == claimable
    end
    if fits then ids[#ids + 1] = id_of(rest) end
    return #ids >= limit
  end)
  return rows(RUN, ids)
end

function verbs.steps()
  local prefix = take()
  local fields = {}
  walk(STEP_NAME, prefix, '[' .. prefix, function(field) fields[#fields + 1] = field end)
  return rows(STEP, fields)
end

-- Events before a revision, newest first.
function verbs.history()
  local limit, before, wanted = take_number(), take(), take_list()
  local found = {}
  if #wanted == 0 then
    -- Nothing has the id 0; below it there is none.
    local from = before ~= '' and whole(math.max(tonumber(before) - 1, 0)) or '+'
    for _, entry in ipairs(redis.call('XREVRANGE', EVENT, from, '-', 'COUNT', limit)) do
      found[#found + 1] = entry[2][2]
    end
    return found
  end
  local revisions = {}
  walk_back(EVENT_BY, wanted[1], before, function(member)
    local revision = string.sub(member, -EVENT_DIGITS)
    if in_others(EVENT_BY, wanted, revision) then revisions[#revisions + 1] = revision end
    return #revisions >= limit
  end)
  return events_at(revisions)
end

-- Changes of one key after a revision, oldest first. `actions` are the kinds
-- of event that change a key.
function verbs.changes_of()
  local limit, after, subject, actions = take_number(), take(), take(), take_list()
  local revisions = {}
  walk(EVENT_BY, subject, '(' .. subject .. after, function(member)
    local revision = string.sub(member, -EVENT_DIGITS)
    for _, action in ipairs(actions) do
      if redis.call('ZSCORE', EVENT_BY, action .. revision) then
        revisions[#revisions + 1] = revision
        break
      end
    end
    return #revisions >= limit
  end)
  return events_at(revisions)
end

-- Changes of keys that begin with a prefix; events of keys name theirs.
function verbs.changes_below()
  local limit, after, prefix = take_number(), '(' .. whole(take_number()), take()
  local found = {}
  while #found < limit do
    local entries = redis.call('XRANGE', EVENT, after, '+', 'COUNT', CHUNK)
    for _, entry in ipairs(entries) do
      local key = entry[2][3] == 'key' and entry[2][4]
      if #found < limit and key and string.sub(key, 1, #prefix) == prefix then
        found[#found + 1] = entry[2][2]
      end
    end
    if #entries < CHUNK then break end
    after = '(' .. entries[#entries][1]
  end
  return found
end

local late = passed(KV_DUE) or passed(LEASE_DUE) or passed(RUN_FREE)
local found = {}
while at < #ARGV do
  found[#found + 1] = verbs[take()]()
  if much then return { 'much' } end
end
return {
  whole(now), version, position[7] or '', position[2], redis.call('HLEN', REQUEST),
  late and 1 or 0, mine and 1 or 0, astray and 1 or 0, found,
}
