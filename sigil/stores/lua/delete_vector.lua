-- Removes a vector. After the last one has gone, the workspace may have vectors of another length.
-- KEYS: the workspace's vectors. ARGV: prefix, field.
-- Answers 1. Repeating it is safe: it removes nothing more.
redis.call('HDEL', KEYS[1], ARGV[2])
if redis.call('HLEN', KEYS[1]) == 1 then -- only `dimensions` is left
  redis.call('DEL', KEYS[1])
end
return 1
