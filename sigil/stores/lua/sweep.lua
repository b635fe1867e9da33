-- Finds lanes with work whose time has come. ARGV: prefix, most lanes.
-- Each is put off by 1.5 s, doubling to 8 s until it is taken, so that a saturated pool is not
-- flooded. Answers {ms until the next due time or '-1', lanes to wake…}.
local answer = { '-1' }
for _, lane in ipairs(redis.call('ZRANGEBYSCORE', DUE, '-inf', int(NOW), 'LIMIT', 0, ARGV[2])) do
  local key = lane_key(lane)
  if redis.call('LLEN', ids_key(lane)) == 0 then
    redis.call('HSET', key, 'held', '0')
    schedule(lane)
  else
    local put_off = num(key, 'put_off')
    put_off = put_off == 0 and FIRST_PUT_OFF or math.min(2 * put_off, LAST_PUT_OFF)
    redis.call('HSET', key, 'put_off', put_off)
    redis.call('ZADD', DUE, int(NOW + put_off), lane)
    answer[#answer + 1] = lane
  end
end
local next = redis.call('ZRANGE', DUE, 0, 0, 'WITHSCORES')
if next[2] then answer[1] = int(math.max(0, tonumber(next[2]) - NOW)) end
return answer
