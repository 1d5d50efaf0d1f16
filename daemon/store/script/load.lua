-- Reads a key, and gives a plain string its first metadata.
-- ARGV: 1 limit of a value in bytes; 2, 3, 4: s, e, d of a plain string on first sight.

local state, wrong = look(tonumber(ARGV[1]))
if not state then
  return { 'unreadable', wrong }
end
if not state.s then
  if not state.value then
    return { 'absent' }
  end
  redis.call('HSET', KEYS[2], 's', ARGV[2], 'e', ARGV[3], 'd', ARGV[4], 'g', state.content)
  state.s, state.e, state.d, state.foreign = ARGV[2], ARGV[3], ARGV[4], false
end
return report(state.foreign and 'foreign' or 'found', state)
