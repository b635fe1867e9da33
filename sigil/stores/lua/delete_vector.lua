-- Removes a vector; after the last one, vectors of another length may come.
-- KEYS: the workspace's vectors. ARGV, after the prefix: field.
redis.call('HDEL', KEYS[1], ARGV[2])
if redis.call('HLEN', KEYS[1]) == 1 then
  redis.call('DEL', KEYS[1])
end
return 1
