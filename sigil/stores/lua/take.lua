-- Grants the lease of a lane, and reads the items at its head.
-- ARGV: prefix, lane, nonce, ttl ms, most items.
-- Answers {'granted', token, strikes, stop, {id, {field, value, …}, …}, {journal…},
-- version of the stored overlay of the directory};
-- or {'busy'}, {'parked'}, {'quiet'} or {'empty'}.
-- Repeating it is safe: the nonce names this attempt to take, and a live lease is granted again to
-- the nonce that got it. Otherwise a lost answer would leave the lane held by nobody.
local lane, nonce, ttl, limit = ARGV[2], ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])
local key = lane_key(lane)
local state = redis.call('HMGET', key, 'held', 'token', 'nonce', 'lease_until', 'parked_until',
  'quiet_until', 'strikes', 'stop')
local is_held, last_token = state[1] == '1', tonumber(state[2] or '0')
local strikes = tonumber(state[7] or '0')

local function grant(token)
  redis.call('HSET', key, 'held', '1', 'token', token, 'nonce', nonce,
    'lease_until', format_int(NOW + ttl), 'strikes', strikes)
  redis.call('HDEL', key, 'parked_until', 'quiet_until', 'quiet_from', 'put_off')
  redis.call('PERSIST', key)
  redis.call('ZADD', DUE, format_int(NOW + ttl), lane)
  local items = {}
  for _, id in ipairs(redis.call('LRANGE', ids_key(lane), 0, limit - 1)) do
    items[#items + 1] = id
    items[#items + 1] = redis.call('HGETALL', item_key(id))
  end
  local journal = {}
  if kind_of(lane) == 'session' then journal = redis.call('LRANGE', journal_key(lane), 0, -1) end
  local directory = tonumber(redis.call('HGET', P .. 'directory', 'version') or '0')
  return { 'granted', token, strikes, tonumber(state[8] or '0'), items, journal, directory }
end

if is_held and tonumber(state[4]) > NOW then
  if state[3] == nonce then return grant(state[2]) end
  return { 'busy' }
end
if redis.call('LLEN', ids_key(lane)) == 0 then
  redis.call('HSET', key, 'held', '0')
  schedule(lane)
  return { 'empty' }
end
if is_held then
  strikes = strikes + 1 -- its holder let the lease run out; the head may be to blame
elseif tonumber(state[5] or '0') > NOW then
  return { 'parked' }
elseif tonumber(state[6] or '0') > NOW then
  return { 'quiet' }
end
-- A token is higher than every earlier one. Counting up is not enough: a failover may lose the last
-- writes, and then the count would begin again at an old value. The clock goes on.
return grant(format_int(math.max(last_token + 1, NOW_US)))
