-- Applies a unit of work under the fence. ARGV: prefix, lane, token, n, keep ('1' or '0'),
-- number of done ids, the done ids, then the effects. Answers {'ok', lanes to wake…};
-- or {'lost'}, {'full <noticed> <lane>'}, {'rejected …'}, and then nothing was applied.
local lane, token, n, keep = ARGV[2], ARGV[3], ARGV[4], ARGV[5] == '1'
local done = tonumber(ARGV[6])
local key = lane_key(lane)

local function words(text)
  local found = { 'ok' }
  for word in string.gmatch(text, '%S+') do found[#found + 1] = word end
  return found
end

local last = redis.call('HMGET', key, 'commit', 'answer')
if last[1] == token .. ':' .. n then return words(last[2]) end -- check: last commit
if not held_by(lane, token) then return { 'lost' } end -- check: fence

local head = redis.call('LRANGE', ids_key(lane), 0, done - 1)
for i = 1, done do
  if head[i] ~= ARGV[6 + i] then return { 'rejected the done ids are not the head of the lane' } end
end
local found = read_effects(7 + done)
local reason = check_effects(found)
if reason then return { reason } end

local wakes = {}
if done > 0 then
  redis.call('LTRIM', ids_key(lane), done, -1)
  redis.call('DEL', journal_key(lane))
  redis.call('HSET', key, 'strikes', '0')
  local stop = num(key, 'stop')
  if stop > 0 then redis.call('HSET', key, 'stop', math.max(0, stop - done)) end
end
apply_effects(found, wakes)
if not keep then
  redis.call('HSET', key, 'held', '0', 'nonce', '')
  if schedule(lane) then wake(wakes, lane) end
end
redis.call('HSET', key, 'commit', token .. ':' .. n, 'answer', table.concat(wakes, ' '))
return words(table.concat(wakes, ' '))
