-- Reads a whole state out, some of it at a time, each time at one instant.
--
-- KEYS: every place, in the order of layout.rs, which names them.
-- ARGV: the bytes that may be read, and one verb with its arguments. At least
-- one row or event is read, however large.
-- Gives commits so far, the state's position, and what the verb found.

-- Members looked at in one call.
local CHUNK = 500
-- Rows looked at in one call, about: they may be large.
local ROWS = 8
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

-- Rows in Redis's own order, from where the cursor stands: each that is there
-- from first to last comes once at least. Gives where to go on, if anything is left.
function verbs.rows(cursor)
  local found = {}
  repeat
    local some = redis.call('HSCAN', ROW, cursor, 'COUNT', ROWS)
    cursor = some[1]
    for i = 2, #some[2], 2 do
      spend(#some[2][i])
      found[#found + 1] = some[2][i]
    end
  until cursor == '0' or left <= 0
  return { cursor ~= '0' and cursor, found }
end

-- The bytes that hexadecimal digits stand for.
local function unhex(digits)
  return (string.gsub(digits, '..', function(byte) return string.char(tonumber(byte, 16)) end))
end

-- The rows that events after a revision have touched, as they are now, each
-- once, and every cancellation that is under way: these go on without an event.
-- Then the requests whose entries begin with `request`, from `low` on. `kinds` are
-- the first bytes of the ids of keys, leases, runs, sessions and steps, and behind
-- `skip` bytes of an entry stands an id. Gives the last event looked at, whether
-- it is the last there is, the request behind which to go on, the oldest request,
-- how many rows there are, and the rows.
function verbs.changed(after, low, request, cancelling, skip, kinds)
  local found, known = {}, {}
  local place = { key = 1, lease = 2, run = 3, session = 4 }
  local function add(hash, id)
    if known[id] then return end
    known[id] = true
    local value = redis.call('HGET', hash, id)
    spend(#id + (value and #value or 0))
    found[#found + 1] = { id, value }
  end
  local function listed(entries, prefix, from, count)
    local high = '(' .. prefix .. string.rep('\255', skip + 1)
    return redis.call('ZRANGEBYLEX', entries, from, high, 'LIMIT', 0, count)
  end
  local function id_of(prefix, entry) return string.sub(entry, #prefix + skip + 1) end
  for _, entry in ipairs(listed(ENTRY, cancelling, '[' .. cancelling, -1)) do
    add(ROW, id_of(cancelling, entry))
  end
  local last, upto = after, false
  local all = walk_events('(' .. after, function(revision, fields)
    last = revision
    local kind, name, step = place[fields[3]], fields[4], fields[6]
    if kind then add(ROW, string.sub(kinds, kind, kind) .. name) end
    if step then
      add(ROW, string.sub(kinds, 5, 5) .. struct.pack('>I4', #name) .. name .. unhex(step))
    end
  end)
  while all and not upto do
    local entries = listed(KEPT_ENTRY, request, low, CHUNK)
    for _, entry in ipairs(entries) do
      add(KEPT, id_of(request, entry))
      low = '(' .. entry
      if left <= 0 then
        upto = low
        break
      end
    end
    if #entries < CHUNK then break end
  end
  local oldest = listed(KEPT_ENTRY, request, '[' .. request, 1)[1] or false
  local count = redis.call('HLEN', ROW) + redis.call('HLEN', KEPT)
  return { last, all and 1 or 0, upto, oldest, count, found }
end

-- Events from one revision on, oldest first.
function verbs.events(from)
  local found = {}
  walk_events(from, function(_, fields) found[#found + 1] = fields[2] end)
  return found
end

local position = redis.call('HMGET', META, 'version', 'state')
return { tonumber(position[1] or 0), position[2], verbs[ARGV[2]](unpack(ARGV, 3)) }
