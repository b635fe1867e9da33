-- Adds or replaces a vector, if it is as long as the others and there is room.
-- KEYS: the workspace's vectors. ARGV, after the prefix: field, dimensions, value, most vectors.
-- Returns the dimensions of the workspace's vectors (nothing was written if they differ), or
-- -1 if there is no room.
local dimensions = redis.call('HGET', KEYS[1], 'dimensions')
if dimensions and dimensions ~= ARGV[3] then
  return tonumber(dimensions)
end
local replaces = redis.call('HEXISTS', KEYS[1], ARGV[2]) == 1
if not replaces and redis.call('HLEN', KEYS[1]) > tonumber(ARGV[5]) then
  return -1
end
redis.call('HSET', KEYS[1], 'dimensions', ARGV[3], ARGV[2], ARGV[4])
return tonumber(ARGV[3])
