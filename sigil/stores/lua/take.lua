-- Grants the lease of a lane, and reads the items at its head.
-- ARGV: prefix, lane, nonce, ttl ms, most items.
-- Answers {'granted', token, strikes, stop, again ('1' or '0'), {id, {field, value, …}, …},
-- {journal…}, version of the stored overlay of the directory};
-- or {'busy'}, {'parked'}, {'quiet'} or {'empty'}.
-- Repeating it is safe: the nonce names this attempt to take, and a live lease is granted again to
-- the nonce that got it, with the same answer. Otherwise a lost answer would leave the lane held by
-- nobody.
local lane, nonce, ttl, limit = ARGV[2], ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])
local key = lane_key(lane)
local state = redis.call('HMGET', key, 'held', 'token', 'nonce', 'lease_until', 'parked_until',
  'quiet_until', 'quiet_from', 'put_off', 'strikes', 'stop', 'begun', 'again', 'leased_at', 'parked_at')
local is_held = state[1] == '1'
local is_live = is_held and read_due(state[4], state[13]) > NOW
local is_repeat = is_live and state[3] == nonce
if is_live and not is_repeat then return { 'busy' } end
-- This attempt has had its lease and has given it back: it was sent twice, and nobody waits any more.
if not is_held and state[3] == nonce then return { 'busy' } end

local ids = redis.call('LRANGE', ids_key(lane), 0, limit - 1)
if not is_repeat then
  if #ids == 0 then
    if is_held then redis.call('HSET', key, 'held', '0') end
    schedule(lane)
    return { 'empty' }
  end
  if not is_held and read_due(state[5], state[14]) > NOW then return { 'parked' } end
  if not is_held and read_due(state[6], state[7]) > NOW then return { 'quiet' } end
end

local token, strikes, again = state[2], tonumber(state[9] or '0'), state[12]
if not is_repeat then
  -- A token is higher than every earlier one. Counting up is not enough: a failover may lose the
  -- last writes, and then the count would begin again at an old value. The clock goes on.
  token = format_int(math.max(tonumber(token or '0') + 1, NOW_US))
  -- The holder before let its lease run out; the head may be to blame.
  if is_held then strikes = strikes + 1 end
  -- Was the head in somebody's hands, who neither finished it nor gave it back untouched?
  again = state[11] == ids[1] and '1' or '0'
end
write_first('HSET', key, 'held', '1', 'token', token, 'nonce', nonce,
  'lease_until', format_int(NOW + ttl), 'leased_at', format_int(NOW), 'strikes', strikes, 'begun', ids[1] or '', 'again', again)
-- What was said of the lane's rest is over.
if state[5] or state[6] or state[7] or state[8] then
  redis.call('HDEL', key, 'parked_until', 'quiet_until', 'quiet_from', 'put_off')
end
redis.call('ZADD', DUE, format_int(NOW + ttl), lane)

local items = {}
for _, id in ipairs(ids) do
  items[#items + 1] = id
  items[#items + 1] = redis.call('HGETALL', item_key(id))
end
local journal = {}
if kind_of(lane) == 'session' then journal = redis.call('LRANGE', journal_key(lane), 0, -1) end
local directory = tonumber(redis.call('HGET', P .. 'directory', 'version') or '0')
return { 'granted', token, strikes, tonumber(state[10] or '0'), again, items, journal, directory }
