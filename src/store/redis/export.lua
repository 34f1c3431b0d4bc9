-- Reads a page of an export at one instant.
--
-- KEYS: every key, in the order of layout.rs, which gives them names.
-- ARGV: how many bytes may be read, and one verb with its arguments. At least one row
-- or event is read, however large.
-- Returns the number of commits, the state's position, and what the verb found.

-- How many members one call reads.
local CHUNK = 500
-- About how many rows one call reads. They may be large.
local ROWS = 8
-- How many events one call reads. Their values may be large.
local ENTRIES = 8
-- How many bytes each row or event counts for beside its own.
local OVERHEAD = 256

-- This changes nothing, but only a primary accepts it. A replica must not answer as
-- if it were the primary.
redis.call('PERSIST', META)

local left = tonumber(ARGV[1])
local function spend(bytes) left = left - bytes - OVERHEAD end

-- Calls `visit` for the events after the entry `low` until the bytes are spent.
-- Returns whether there are no more.
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

-- Only the position.
function verbs.position() return {} end

-- Rows after a cursor, in Redis's own order. A row that exists all the while comes at
-- least once. Returns the next cursor if there is more, and the rows.
function verbs.rows(cursor)
  local found = {}
  repeat
    local page = redis.call('HSCAN', ROW, cursor, 'COUNT', ROWS)
    cursor = page[1]
    for i = 2, #page[2], 2 do
      spend(#page[2][i])
      found[#found + 1] = page[2][i]
    end
  until cursor == '0' or left <= 0
  return { cursor ~= '0' and cursor, found }
end

-- The bytes that hexadecimal digits represent.
local function unhex(digits)
  return (string.gsub(digits, '..', function(byte) return string.char(tonumber(byte, 16)) end))
end

-- The rows that events after a revision have changed, as they are now, each once, and
-- every cancellation that is under way, because these change without events. Then the
-- requests whose entries begin with `request`, from `low` on. `kinds` are the first
-- bytes of the ids of keys, leases, runs, sessions, steps, schedules and
-- pauses. In an entry,
-- the id follows `skip` bytes. Returns the last event that was read, whether it is the newest,
-- the request after which to continue, the oldest request, the number of rows, and the
-- rows.
function verbs.changed(after, low, request, cancelling, skip, kinds)
  local found, added = {}, {}
  local kind_index = { key = 1, lease = 2, run = 3, session = 4, schedule = 6, pause = 7 }
  local function add(hash, id)
    if added[id] then return end
    added[id] = true
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
  local last, next_request = after, false
  local all = walk_events('(' .. after, function(revision, fields)
    last = revision
    local kind, name, step = kind_index[fields[3]], fields[4], fields[6]
    if kind then add(ROW, string.sub(kinds, kind, kind) .. name) end
    if step then
      add(ROW, string.sub(kinds, 5, 5) .. struct.pack('>I4', #name) .. name .. unhex(step))
    end
  end)
  while all and not next_request do
    local entries = listed(KEPT_ENTRY, request, low, CHUNK)
    for _, entry in ipairs(entries) do
      add(KEPT, id_of(request, entry))
      low = '(' .. entry
      if left <= 0 then
        next_request = low
        break
      end
    end
    if #entries < CHUNK then break end
  end
  local oldest = listed(KEPT_ENTRY, request, '[' .. request, 1)[1] or false
  local count = redis.call('HLEN', ROW) + redis.call('HLEN', KEPT)
  return { last, all and 1 or 0, next_request, oldest, count, found }
end

-- Events from a revision on, oldest first.
function verbs.events(from)
  local found = {}
  walk_events(from, function(_, fields) found[#found + 1] = fields[2] end)
  return found
end

local position = redis.call('HMGET', META, 'version', 'state')
return { tonumber(position[1] or 0), position[2], verbs[ARGV[2]](unpack(ARGV, 3)) }
