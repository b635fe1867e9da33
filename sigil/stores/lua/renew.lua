-- Extends a lease. ARGV: prefix, lane, token, ttl ms. Answers {'ok', stop} or {'lost'}.
local lane, token, ttl = ARGV[2], ARGV[3], tonumber(ARGV[4])
if not held_by(lane, token) then return { 'lost' } end
redis.call('HSET', lane_key(lane), 'lease_until', int(NOW + ttl))
redis.call('ZADD', DUE, int(NOW + ttl), lane)
return { 'ok', num(lane_key(lane), 'stop') }
