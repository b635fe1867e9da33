-- Grants the lease of a lane, and reads the items at its head.
-- ARGV: prefix, lane, nonce, ttl ms, most items, the taker has no other suspect lane ('1' or '0').
-- Answers {'granted', token, strikes, is suspect ('1' or '0'), stop, again ('1' or '0'),
-- {id, {field, value, …}, …}, {journal…}, version of the stored overlay of the directory,
-- {keys that were set aside…}, accounts rest perhaps (1 or 0; see begin_account_rest.lua)};
-- or {'busy'}, {'parked'}, {'quiet'}, {'suspect'} or {'empty'}.
-- Repeating it is safe: the nonce names this attempt to take, and a live lease is granted again to
-- the nonce that got it, with the same answer. Otherwise a lost answer would leave the lane held by
-- nobody.
local lane, nonce, ttl, limit = ARGV[2], ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])
local takes_suspects = ARGV[6] == '1'
local key = lane_key(lane)
local state = read_fields(key, 'held', 'token', 'nonce', 'nonces', 'lease_until', 'leased_at',
  'parked_until', 'parked_at', 'quiet_until', 'quiet_from', 'put_off', 'strikes', 'lost', 'alone',
  'stop', 'begun', 'again')
local is_held = state.held == '1'
local is_live = is_held and read_due(state.lease_until, state.leased_at) > NOW
local is_repeat = is_live and state.nonce == nonce
if is_live and not is_repeat then return { 'busy' } end
-- An attempt that has had its lease was sent twice, and nobody waits for the answer any more. It
-- may be late by minutes, so the last few nonces are remembered, by their first characters.
local mark, marks = string.sub(nonce, 1, 8), state.nonces or ''
if not is_repeat and string.find(' ' .. marks .. ' ', ' ' .. mark .. ' ', 1, true) then
  return { 'busy' }
end

-- It reads everything before it writes: an error in between would leave the lane held by nobody.
local ids = redis.call('LRANGE', ids_key(lane), 0, limit - 1)
if not is_repeat then
  if #ids == 0 then
    if is_held then write_first('HSET', key, 'held', '0') end
    schedule(lane)
    return { 'empty' }
  end
  if not is_held and read_due(state.parked_until, state.parked_at) > NOW then return { 'parked' } end
  if not is_held and read_due(state.quiet_until, state.quiet_from) > NOW then return { 'quiet' } end
end

local token, again = state.token, state.again
local strikes, lost = read_int(state.strikes), read_int(state.lost)
if not is_repeat then
  -- The holder before let its lease run out, so its process may have died. Any lane that it held
  -- may be to blame for that; but if this one was held as its only suspect, this one is.
  if is_held then
    lost = lost + 1
    if state.alone == token then strikes = strikes + 1 end
  end
  if lost >= SUSPECT_FROM and not takes_suspects then return { 'suspect' } end
  -- A token is higher than every earlier one. Counting up is not enough: a failover may lose the
  -- last writes, and then the count would begin again at an old value. The clock goes on.
  token = format_int(math.max(read_int(token) + 1, NOW_US))
  -- Was the head in somebody's hands, who neither finished it nor gave it back untouched?
  again = state.begun == ids[1] and '1' or '0'
  marks = mark .. ' ' .. (string.match(marks, '^%S+ %S+ %S+') or marks)
end
local is_suspect = lost >= SUSPECT_FROM

-- When a message of somebody who writes faster than the limit may be routed; 0: at once.
local function read_item_due(record)
  if kind_of(lane) ~= 'inbound' then return 0 end
  for i = 1, #record, 2 do
    if record[i] == 'due' then
      return read_due(string.match(record[i + 1], '^(%d+) (%d+)$'))
    end
  end
  return 0
end

-- A record or journal of another type, which somebody else wrote, counts as empty. It is set aside.
local items, journal, lost_records, misplaced = {}, {}, {}, {}
for i, id in ipairs(ids) do
  local record, reason = try_read('HGETALL', item_key(id))
  local due = read_item_due(record or {})
  if due > NOW and not (is_repeat and i == 1) then
    if i > 1 then break end
    write_first('ZADD', DUE, format_int(due), lane)
    redis.call('HSET', key, 'held', '0', 'parked_until', format_int(due), 'parked_at', format_int(NOW))
    return { 'parked' }
  end
  if reason then
    lost_records[#lost_records + 1] = id
    misplaced[#misplaced + 1] = item_key(id)
  end
  items[#items + 1] = id
  items[#items + 1] = record or {}
end
if kind_of(lane) == 'session' then
  local entries, reason = try_read('LRANGE', journal_key(lane), 0, -1)
  if reason then misplaced[#misplaced + 1] = journal_key(lane) end
  journal = entries or {}
end
local shared = redis.call('HMGET', P .. 'directory', 'version', 'rests')
local rests = read_int(shared[2]) > NOW and 1 or 0

-- The index comes first: if it is of another type, nothing is written.
write_first('ZADD', DUE, format_int(NOW + ttl), lane)
redis.call('HSET', key, 'held', '1', 'token', token, 'nonce', nonce, 'nonces', marks,
  'lease_until', format_int(NOW + ttl), 'leased_at', format_int(NOW), 'strikes', strikes,
  'begun', ids[1] or '', 'again', again)
if lost > 0 then
  redis.call('HSET', key, 'lost', lost, 'alone', is_suspect and token or '')
end
-- What was said of the lane's rest is over.
if state.parked_until or state.quiet_until or state.quiet_from or state.put_off then
  redis.call('HDEL', key, 'parked_until', 'parked_at', 'quiet_until', 'quiet_from', 'put_off')
end
-- It was parked before the clock stepped back, so the end of its wait for a model would stay ahead.
if lies_ahead(state.parked_at) then redis.pcall('ZREM', P .. 'lanes:waiting', lane) end
for _, name in ipairs(misplaced) do set_aside(name) end
-- What an item needs to end: the proof that it was pushed, and a day to count it on.
for _, id in ipairs(lost_records) do
  redis.call('HSET', item_key(id), 'lane:' .. kind_of(lane), lane, 'day', today())
end
return { 'granted', token, strikes, is_suspect and '1' or '0', read_int(state.stop), again,
  items, journal, read_int(shared[1]), misplaced, rests }
