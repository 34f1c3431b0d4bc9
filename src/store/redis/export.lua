-- Reads a whole state out, some of it at a time, each time at one instant.
--
-- KEYS: every place, in the order of layout.rs, which names them.
-- ARGV: the bytes that may be read, and one verb with its arguments. At least
-- one row or event is read, however large.
-- Gives commits so far, the state's position, and what the verb found.

-- Members looked at in one call.
local CHUNK = 500
-- Events looked at in one call: their values may be large.
local ENTRIES = 8
-- What anything read counts for beside its bytes.
local LUMP = 256

-- A replica must not answer as if it were the primary. This changes nothing,
-- and only a primary accepts it.
redis.call('PERSIST', META)

local left = tonumber(ARGV[1])
local function spend(bytes) left = left - bytes - LUMP end

-- Shows `visit` the events behind the entry `low`, until the bytes are spent.
-- Says whether that was all.
local function walk_events(low, visit)
  while left > 0 do
    local entries = redis.call('XRANGE', EVENT, low, '+', 'COUNT', ENTRIES)
    for i, entry in ipairs(entries) do
      local fields = entry[2]
      spend(#fields[2])
      visit(string.match(entry[1], '%d+'), fields)
      low = '(' .. entry[1]
      if left <= 0 and i < #entries then return false end
    end
    if #entries < ENTRIES then return true end
  end
  return false
end

local verbs = {}

-- Nothing but where the state is.
function verbs.position() return {} end

-- Rows of the table at a place, in the order of the members of its index.
-- Names stand behind `skip` bytes of them. Gives from where to go on, if
-- anything is left.
function verbs.rows(hash, index, prefix, skip, low)
  hash, index, skip = KEYS[tonumber(hash)], KEYS[tonumber(index)], tonumber(skip)
  local found = {}
  while true do
    -- No member has the byte 255: all of them are UTF-8.
    local high = '(' .. prefix .. '\255'
    local members = redis.call('ZRANGEBYLEX', index, low, high, 'LIMIT', 0, CHUNK)
    for _, member in ipairs(members) do
      local value = redis.call('HGET', hash, string.sub(member, skip + 1))
      if value then
        spend(#value)
        found[#found + 1] = value
      end
      low = '(' .. member
      if left <= 0 then return { low, found } end
    end
    if #members < CHUNK then return { false, found } end
  end
end

-- Where requests begin that were answered at a time or later; behind the one
-- named `past`, if it is still there.
local function first_request(since, past)
  local at = past and redis.call('ZSCORE', REQUEST_AGE, past)
  if at and tonumber(at) == tonumber(since) then
    return redis.call('ZRANK', REQUEST_AGE, past) + 1
  end
  return redis.call('ZCOUNT', REQUEST_AGE, '-inf', '(' .. since)
end

-- The rows that events after a revision have touched, as they are now, each
-- once; then the requests answered since a time. Gives the last event looked
-- at, whether it is the last there is, the request behind which to go on, the
-- oldest request, how many rows each table has, and the rows.
function verbs.changed(after, since, past)
  local hashes = { key = KV, lease = LEASE, run = RUN, session = SESSION }
  local found, known = {}, {}
  local function add(kind, hash, field)
    if known[kind .. field] then return end
    known[kind .. field] = true
    local value = redis.call('HGET', hash, field)
    spend(#field + (value and #value or 0))
    found[#found + 1] = { kind, field, value }
  end
  local last, upto = after, {}
  local all = walk_events('(' .. after, function(revision, fields)
    last = revision
    local kind, name, step = fields[3], fields[4], fields[6]
    if hashes[kind] then add(kind, hashes[kind], name) end
    if step then add('step', STEP, '-' .. string.format('%08x', #name) .. name .. step) end
  end)
  local from = first_request(since, past)
  while all and not upto[1] do
    local names = redis.call('ZRANGE', REQUEST_AGE, from, from + CHUNK - 1)
    for _, name in ipairs(names) do
      add('request', REQUEST, name)
      from = from + 1
      if left <= 0 then
        upto = { redis.call('ZSCORE', REQUEST_AGE, name), name }
        break
      end
    end
    if #names < CHUNK then break end
  end
  local oldest = redis.call('ZRANGE', REQUEST_AGE, 0, 0, 'WITHSCORES')
  local counts = {}
  for i, hash in ipairs({ KV, LEASE, RUN, STEP, SESSION, REQUEST }) do
    counts[i] = redis.call('HLEN', hash)
  end
  return { last, all and 1 or 0, upto, { oldest[2], oldest[1] }, counts, found }
end

-- Events from one revision on, oldest first.
function verbs.events(from)
  local found = {}
  walk_events(from, function(_, fields) found[#found + 1] = fields[2] end)
  return found
end

local position = redis.call('HMGET', META, 'version', 'state')
return { tonumber(position[1] or 0), position[2], verbs[ARGV[2]](unpack(ARGV, 3)) }
