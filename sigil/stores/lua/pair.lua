-- Moves the pairing KEYS[1] to a user, or removes it.
-- KEYS: the pairing, then the set of the user's pairings (left out: remove).
-- ARGV, after the prefix: the user id.
local before = redis.call('HGET', KEYS[1], 'paired')
if before and before ~= KEYS[2] then
  redis.call('SREM', before, KEYS[1])
end
if KEYS[2] then
  redis.call('HSET', KEYS[1], 'user', ARGV[2], 'paired', KEYS[2])
  redis.call('SADD', KEYS[2], KEYS[1])
else
  redis.call('DEL', KEYS[1])
end
return 1
