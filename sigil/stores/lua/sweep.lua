-- Finds lanes whose time has come: a wake-up was lost, a rest is over, or a holder has died.
-- ARGV: prefix, most lanes.
-- Answers {ms until the next lane is due, or '-1' if none is, lanes to wake…}.
-- A lane that is found is put off by 1.5 s, then 3, 6 and 8 s, until somebody takes it. Otherwise
-- each sweep would send another wake-up to a pool of workers that is too busy to take the lane.
-- Repeating it is safe: if the answer is lost, the lanes are found again when they are due.
local answer = { '-1' }
local due = redis.call('ZRANGEBYSCORE', DUE, '-inf', format_int(NOW), 'LIMIT', 0, ARGV[2])
for _, lane in ipairs(due) do
  local key = lane_key(lane)
  if redis.call('LLEN', ids_key(lane)) == 0 then
    -- Its holder died after the last item was done.
    redis.call('HSET', key, 'held', '0')
    schedule(lane)
  else
    local put_off = read_number(key, 'put_off')
    put_off = put_off == 0 and FIRST_PUT_OFF or math.min(2 * put_off, LAST_PUT_OFF)
    redis.call('HSET', key, 'put_off', put_off)
    redis.call('ZADD', DUE, format_int(NOW + put_off), lane)
    answer[#answer + 1] = lane
  end
end
local next_due = redis.call('ZRANGE', DUE, 0, 0, 'WITHSCORES')
if next_due[2] then answer[1] = format_int(math.max(0, tonumber(next_due[2]) - NOW)) end
return answer
