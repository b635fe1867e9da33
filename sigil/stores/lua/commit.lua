-- Applies a unit of work: takes the handled items off the lane and writes their effects, all of it
-- or nothing, and only for the holder of the lease.
-- ARGV: prefix, lane, token, number of the commit, keep the lease ('1' or '0'), number of handled
-- ids, the handled ids, then the effects.
-- Answers {'ok', lanes to wake…}; or {'lost'}, {'full <noticed> <lane>'} or {'rejected <why>'}, and
-- then nothing was applied.
-- Repeating it is safe: the lane remembers its last commit, by token and number, and the answer to
-- it. That comes before the fence, because the first run may have given the lease back.
local lane, token, number, keeps = ARGV[2], ARGV[3], ARGV[4], ARGV[5] == '1'
local done = tonumber(ARGV[6])
local key = lane_key(lane)

local function build_answer(wakes)
  local answer = { 'ok' }
  for woken in string.gmatch(wakes, '%S+') do answer[#answer + 1] = woken end
  return answer
end

local last = redis.call('HMGET', key, 'commit', 'answer')
if last[1] == token .. ':' .. number then return build_answer(last[2]) end -- check: last commit
if not is_held_by(lane, token) then return { 'lost' } end -- check: fence

local head = redis.call('LRANGE', ids_key(lane), 0, done - 1)
for i = 1, done do
  if head[i] ~= ARGV[6 + i] then return { 'rejected the done ids are not the head of the lane' } end
end
local list = read_effects(7 + done)
local reason = check_effects(list)
if reason then return { reason } end

-- From here on it writes, and nothing can fail any more.
local wakes = {}
if done > 0 then
  redis.call('LTRIM', ids_key(lane), done, -1)
  -- The journal and the strikes belong to the head, which has moved.
  redis.call('DEL', journal_key(lane))
  redis.call('HSET', key, 'strikes', '0')
  local stop = read_number(key, 'stop')
  if stop > 0 then redis.call('HSET', key, 'stop', math.max(0, stop - done)) end
end
apply_effects(list, wakes)
if not keeps then
  redis.call('HSET', key, 'held', '0', 'nonce', '')
  if schedule(lane) then add_wake(wakes, lane) end
end
local wakes_text = table.concat(wakes, ' ')
redis.call('HSET', key, 'commit', token .. ':' .. number, 'answer', wakes_text)
return build_answer(wakes_text)
