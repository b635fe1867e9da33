-- Gives a lease back with the head kept. ARGV: prefix, lane, token, delay ms, strike.
-- Answers {'ok', lanes to wake…} or {'lost'}.
local lane, token, delay, strike = ARGV[2], ARGV[3], tonumber(ARGV[4]), ARGV[5] == '1'
local key = lane_key(lane)
if redis.call('HGET', key, 'parked_by') == token then return { 'ok' } end
if not held_by(lane, token) then return { 'lost' } end
redis.call('HSET', key, 'held', '0', 'nonce', '', 'parked_by', token)
if strike then redis.call('HINCRBY', key, 'strikes', 1) end
-- An empty lane has no head to keep: the next push wakes it at once.
if delay > 0 and redis.call('LLEN', ids_key(lane)) > 0 then
  redis.call('HSET', key, 'parked_until', int(NOW + delay))
end
if schedule(lane) then return { 'ok', lane } end
return { 'ok' }
