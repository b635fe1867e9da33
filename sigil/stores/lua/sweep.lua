-- Finds lanes whose time has come: a wake-up was lost, a rest is over, or a holder has died.
-- ARGV: prefix, most lanes, kind, room for lanes of that kind, kind, room…
-- Answers {ms until the next lane is due, or '-1' if none is, lanes to wake…}.
--
-- A lane that is found is put off by 1.5 s, then 3, 6 and 8 s, until somebody takes it. Otherwise
-- each sweep would send another wake-up to a pool of workers that is too busy to take the lane.
--
-- There is no room for more lanes of a kind while its workers are behind. Such lanes are not
-- counted as put off, since nobody was woken. But they are set aside in the index, in their order
-- and one millisecond apart, or thousands of them would stand before the few due lanes of other
-- kinds. The more are due, the longer they are set aside, up to 8 s: each of them waits for those
-- before it anyway.
--
-- If the clock stepped back, lanes stand in the index as far ahead as it stepped. So those that stand
-- furthest ahead are looked at too, a few at a time: what was said of them shows which are due.
--
-- Repeating it is safe: if the answer is lost, the lanes are found again when they are due.
local MOST_SET_ASIDE = 1000
local FAR_AHEAD, MOST_FAR_AHEAD = 30000, 100
local most = tonumber(ARGV[2])
local room = {}
for i = 3, #ARGV, 2 do room[ARGV[i]] = tonumber(ARGV[i + 1]) end
local due =
  redis.call('ZRANGEBYSCORE', DUE, '-inf', format_int(NOW), 'LIMIT', 0, most + MOST_SET_ASIDE)
local far_ahead = redis.call('ZREVRANGEBYSCORE', DUE, '+inf', format_int(NOW + FAR_AHEAD), 'LIMIT',
  0, MOST_FAR_AHEAD)
for _, lane in ipairs(far_ahead) do
  local state = redis.call('HMGET', lane_key(lane), 'held', 'lease_until', 'leased_at',
    'parked_until', 'parked_at', 'quiet_until', 'quiet_from')
  if state[1] ~= '1' then
    local rests_until = math.max(read_due(state[4], state[5]), read_due(state[6], state[7]))
    if rests_until <= NOW then due[#due + 1] = lane end
  elseif lies_ahead(state[3]) then
    -- A holder that lives renews the lease within its time.
    redis.call('ZADD', DUE, format_int(NOW + tonumber(state[2]) - tonumber(state[3])), lane)
  end
end
local answer, without_room = { '-1' }, {}
for _, lane in ipairs(due) do
  local kind = kind_of(lane)
  if room[kind] == 0 then
    without_room[#without_room + 1] = lane
  elseif #answer <= most then
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
      room[kind] = room[kind] and room[kind] - 1
    end
  end
end
if #without_room > 0 then
  local all_due = redis.call('ZCOUNT', DUE, '-inf', format_int(NOW))
  local back_at = NOW + math.min(LAST_PUT_OFF, 100 + math.floor(all_due / 5))
  local index = {}  -- of 1,100 lanes at most; `unpack` can do 8,000 values
  for i, lane in ipairs(without_room) do
    index[2 * i - 1], index[2 * i] = format_int(back_at + i), lane
  end
  redis.call('ZADD', DUE, unpack(index))
end
local next_due = redis.call('ZRANGE', DUE, 0, 0, 'WITHSCORES')
if next_due[2] then answer[1] = format_int(math.max(0, tonumber(next_due[2]) - NOW)) end
return answer
