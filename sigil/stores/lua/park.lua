-- Gives a lease back with the head kept, to be taken again after a delay.
-- ARGV: prefix, lane, token, delay ms, add a strike ('1' or '0'), the head was begun ('1' or '0').
-- Answers {'ok', lanes to wake…} or {'lost'}.
-- Repeating it is safe: the lane remembers who parked it, so a strike is added once. The repeat
-- names no lane to wake; if the first answer was lost, the sweep finds the lane.
local lane, token, delay = ARGV[2], ARGV[3], tonumber(ARGV[4])
local adds_strike, was_begun = ARGV[5] == '1', ARGV[6] == '1'
local key = lane_key(lane)
local state = redis.call('HMGET', key, 'held', 'token', 'parked_by', 'strikes')
if state[3] == token then return { 'ok' } end
if not is_held_by(state, token) then return { 'lost' } end

local changes = { 'held', '0', 'parked_by', token }
local function change(field, value)
  changes[#changes + 1] = field
  changes[#changes + 1] = value
end
if not was_begun then change('begun', '') end
if adds_strike then change('strikes', read_int(state[4]) + 1) end
-- An empty lane has no head to keep, and must not rest: the next push wakes it at once.
if delay > 0 and redis.call('LLEN', ids_key(lane)) > 0 then
  change('parked_until', format_int(NOW + delay))
  change('parked_at', format_int(NOW))
end
-- The first write removes nothing. It fails if the index is of another type, and it is allowed when
-- Redis is full, as are all that follow it.
redis.call('ZREM', DUE, '')
redis.call('HSET', key, unpack(changes))
if schedule(lane) then return { 'ok', lane } end
return { 'ok' }
