-- Extends a lease.
-- ARGV: prefix, lane, token, ttl ms.
-- Answers {'ok', how many items at the head are to be stopped} or {'lost'}.
-- Repeating it is safe: it only extends the lease again.
local lane, token, ttl = ARGV[2], ARGV[3], tonumber(ARGV[4])
if not is_held_by(lane, token) then return { 'lost' } end
redis.call('HSET', lane_key(lane), 'lease_until', format_int(NOW + ttl))
redis.call('ZADD', DUE, format_int(NOW + ttl), lane)
return { 'ok', read_number(lane_key(lane), 'stop') }
