-- What the database holds of one key. This text stands before both scripts.
-- KEYS[1] is the key, KEYS[2] its metadata. doc.go describes the fields.

-- A stamp: a time that a clock can have, and one of at most 64 origins.
local function is_stamp(text)
  return text and #text == 18 and not string.find(text, '[^0-9a-f]')
    and tonumber(string.sub(text, 1, 1), 16) < 8 and tonumber(string.sub(text, 17, 18), 16) < 64
end

local function is_hex(text, digits)
  return text and #text == digits and not string.find(text, '[^0-9a-f]')
end

-- Whether a is below b: fixed-width hexadecimal of the same width. Lua's own < goes
-- by the collation of the server's locale (in Danish 'aa' comes after 'b0'), and its
-- numbers are doubles; eight digits at a time fit.
local function below(a, b)
  for i = 1, #a, 8 do
    local x = tonumber(string.sub(a, i, i + 7), 16)
    local y = tonumber(string.sub(b, i, i + 7), 16)
    if x ~= y then
      return x < y
    end
  end
  return false
end

-- The milliseconds of a time in nanoseconds (16 digits), rounded up. Two steps, as
-- the nanoseconds do not fit into a double.
local function milliseconds(ns)
  local high = tonumber(string.sub(ns, 1, 8), 16)
  local low = tonumber(string.sub(ns, 9, 16), 16)
  local rest = high % 1000000
  return (high - rest) / 1000000 * 4294967296 + math.ceil((rest * 4294967296 + low) / 1000000)
end

-- The server's own clock, by which it expires keys.
local function now_milliseconds()
  local t = redis.call('TIME')
  return tonumber(t[1]) * 1000 + math.floor(tonumber(t[2]) / 1000)
end

-- Reads the key and its metadata. On success:
--   value    false if the key is not there
--   content  digest of the value, '' if the key is not there
--   s, e, d, x  as stored; s is nil without metadata
--   foreign  whether the content is not what was last flushed
-- or nil and what is wrong.
local function look(limit)
  local size = redis.pcall('STRLEN', KEYS[1])
  if type(size) ~= 'number' then
    return nil, 'the key: ' .. size.err
  end
  if size > limit then
    return nil, 'the value is over the limit: ' .. size .. ' bytes'
  end
  local m = redis.pcall('HMGET', KEYS[2], 's', 'e', 'd', 'g', 'x', 't')
  if m.err then
    return nil, 'the metadata: ' .. m.err
  end
  local value = redis.call('GET', KEYS[1])
  local state = { value = value, content = value and redis.sha1hex(value) or '' }
  local s, e, d, g, x, t = unpack(m)
  if not (s or e or d or g or x or t) then
    state.foreign = state.content ~= ''
    return state
  end
  local kept = t == '1' and not g or not t and is_hex(g, 40)
  if not (is_stamp(s) and is_hex(e, 16) and d and kept and (not x or is_hex(x, 16))) then
    return nil, 'the metadata is malformed'
  end
  state.s, state.e, state.d, state.x = s, e, d, x or ''
  state.foreign = state.content ~= (t and '' or g)
  if state.foreign and not t and not value and x and now_milliseconds() >= milliseconds(x) then
    state.foreign = false -- it expired, and is its own tombstone
  end
  return state
end

local function report(status, state)
  return { status, state.value or '', state.value and '' or '1',
    state.s or '', state.e or '', state.d or '', state.x or '' }
end
