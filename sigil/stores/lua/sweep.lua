-- Finds lanes whose time has come: a wake-up was lost, a rest is over, or a holder has died.
-- ARGV: prefix, most lanes, then each kind and the room for lanes of it.
-- Answers {ms until the next lane is due, or '-1' if none is, {lanes to wake…}, {lane, why, …}}, the
-- last being lanes that were put into quarantine.
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
-- Lanes of kinds that are not named stay as they are: newer processes look after them.
--
-- A lane with a key of another type cannot be worked on. It leaves the index for the quarantine, so
-- that it is told once and holds up nobody; see find_forgotten.lua for its way back.
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
  local state = try_read('HMGET', lane_key(lane), 'held', 'lease_until', 'leased_at',
    'parked_until', 'parked_at', 'quiet_until', 'quiet_from') or {}
  if state[1] ~= '1' then
    local rests_until = math.max(read_due(state[4], state[5]), read_due(state[6], state[7]))
    if rests_until <= NOW then due[#due + 1] = lane end
  elseif lies_ahead(state[3]) then
    -- A holder that lives renews the lease within its time.
    redis.call('ZADD', DUE, format_int(NOW + read_int(state[2]) - read_int(state[3])), lane)
  end
end
local wake, broken, without_room, has_others = {}, {}, {}, false

local function put_off_or_end(lane)
  local key = lane_key(lane)
  local waiting, reason = try_read('LLEN', ids_key(lane))
  local put_off, other_reason = try_read('HGET', key, 'put_off')
  reason = reason or other_reason
  if reason then
    reason = string.gsub(reason, '^rejected ', '')
    redis.call('ZREM', DUE, lane)
    redis.pcall('HSET', QUARANTINE, lane, reason)
    broken[#broken + 1], broken[#broken + 2] = lane, reason
  elseif waiting == 0 then
    -- Its holder died after the last item was done.
    write_first('HSET', key, 'held', '0')
    schedule(lane)
  else
    put_off = math.max(FIRST_PUT_OFF, math.min(2 * read_int(put_off), LAST_PUT_OFF))
    write_first('HSET', key, 'put_off', put_off)
    redis.call('ZADD', DUE, format_int(NOW + put_off), lane)
    wake[#wake + 1] = lane
    return true
  end
end

for _, lane in ipairs(due) do
  local kind = kind_of(lane)
  if not room[kind] then
    has_others = true
  elseif room[kind] == 0 then
    without_room[#without_room + 1] = lane
  elseif #wake < most and put_off_or_end(lane) then
    room[kind] = room[kind] - 1
  end
end
if #without_room > 0 then
  local all_due = redis.call('ZCOUNT', DUE, '-inf', format_int(NOW))
  local back_at = NOW + math.min(LAST_PUT_OFF, 100 + math.floor(all_due / 5))
  local index = {}  -- of 1,100 lanes at most; `unpack` can do 8,000 values
  for i, lane in ipairs(without_room) do
    index[2 * i - 1], index[2 * i] = format_int(back_at + i), lane
  end
  write_first('ZADD', DUE, unpack(index))
end
local from = has_others and '(' .. format_int(NOW) or '-inf'
local next_due = redis.call('ZRANGEBYSCORE', DUE, from, '+inf', 'WITHSCORES', 'LIMIT', 0, 1)[2]
local wait = next_due and format_int(math.max(0, tonumber(next_due) - NOW)) or '-1'
return { wait, wake, broken }
