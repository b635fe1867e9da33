-- Adds or replaces a vector, if it is as long as the others and there is room.
-- KEYS: the workspace's vectors. ARGV: prefix, field, dimensions, value, most vectors.
-- Answers the dimensions of the workspace's vectors; if they differ from those given, nothing was
-- written. Answers -1 if there is no room. Repeating it is safe: it writes the same again.
local field, given, value, most = ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5])
local dimensions = redis.call('HGET', KEYS[1], 'dimensions')
if dimensions and dimensions ~= given then
  return tonumber(dimensions)
end
local is_new = redis.call('HEXISTS', KEYS[1], field) == 0
-- One field of the hash is `dimensions`, so with `most` vectors it has one more.
if is_new and redis.call('HLEN', KEYS[1]) > most then
  return -1
end
redis.call('HSET', KEYS[1], 'dimensions', given, field, value)
return tonumber(given)
