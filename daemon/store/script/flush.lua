-- Stores a version unless the database has a higher one, another program's
-- change, or a later epoch.
-- KEYS[3] is the fence. ARGV: 1 limit of a value in bytes; 2 the cluster's epoch;
-- 3 s; 4 e; 5 d; 6 x ('' for none); 7 digest of the value ('' for a tombstone);
-- 8 the value; 9 digest of the foreign value that was imported ('' for a foreign
-- delete, '-' for none); 10 the grace period in milliseconds.

local fence = redis.pcall('GET', KEYS[3])
if type(fence) == 'table' then
  return { 'unreadable', 'the fence: ' .. fence.err }
end
if fence and not is_hex(fence, 16) then
  return { 'unreadable', 'the fence is malformed' }
end
if fence and below(ARGV[2], fence) then
  return { 'fenced' }
end
if fence ~= ARGV[2] then
  redis.call('SET', KEYS[3], ARGV[2])
end

local state, wrong = look(tonumber(ARGV[1]))
if not state then
  -- No cache can read what is there, and the write was acknowledged: it goes over it,
  -- as a SET would.
  state = { content = '' }
end
if state.s and not below(state.s, ARGV[3]) then
  -- Nothing to store. What excuses a foreign value below does not count here: the
  -- import that it excuses is not newer than what was flushed before the change.
  if state.foreign then
    return report('foreign', state)
  end
  if state.s == ARGV[3] then
    return { 'done' }
  end
  return report('superseded', state)
end
if state.foreign and state.content ~= ARGV[7] and state.content ~= ARGV[9] then
  return report('foreign', state)
end

-- The first command that writes is one that Redis refuses when it may not write
-- (no memory, a replica): nothing is half done then. Once a script has written,
-- Redis lets it finish.
local tombstone = ARGV[7] == ''
if tombstone then
  redis.call('DEL', KEYS[1])
else
  redis.call('SET', KEYS[1], ARGV[8])
end
redis.call('DEL', KEYS[2])
redis.call('HSET', KEYS[2], 's', ARGV[3], 'e', ARGV[4], 'd', ARGV[5])
if ARGV[6] ~= '' then
  redis.call('HSET', KEYS[2], 'x', ARGV[6])
end
if tombstone then
  redis.call('HSET', KEYS[2], 't', '1')
  redis.call('PEXPIRE', KEYS[2], ARGV[10])
else
  redis.call('HSET', KEYS[2], 'g', ARGV[7])
  if ARGV[6] ~= '' then
    local deadline = milliseconds(ARGV[6])
    redis.call('PEXPIREAT', KEYS[1], string.format('%.0f', deadline))
    redis.call('PEXPIREAT', KEYS[2], string.format('%.0f', deadline + tonumber(ARGV[10])))
  end
end
return wrong and { 'done', wrong } or { 'done' }
