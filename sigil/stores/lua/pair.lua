-- Moves a pairing to a user, or removes it.
-- KEYS: the pairing, then the set of the user's pairings (left out to remove the pairing).
-- ARGV: prefix, user id.
-- Answers 1. Repeating it is safe: it writes the same again.
local previous_set = redis.call('HGET', KEYS[1], 'paired')
if previous_set and previous_set ~= KEYS[2] then
  redis.call('SREM', previous_set, KEYS[1])
end
if KEYS[2] then
  redis.call('HSET', KEYS[1], 'user', ARGV[2], 'paired', KEYS[2])
  redis.call('SADD', KEYS[2], KEYS[1])
else
  redis.call('DEL', KEYS[1])
end
return 1
