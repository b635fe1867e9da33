-- Applies a unit of work: takes the handled items off the lane and writes their effects, all of it
-- or nothing, and only for the holder of the lease.
-- ARGV: prefix, lane, token, number of the commit, keep the lease ('1' or '0'), number of handled
-- ids, the handled ids, then the effects.
-- Answers {'ok', how many items at the head are to be stopped, lanes to wake…}; or {'lost'},
-- {'full <noticed> <lane>'} or {'rejected <why>'}, and then nothing was applied.
-- Repeating it is safe: the lane remembers its last commit, by token and number, and the answer to
-- it. That comes before the fence, because the first run may have given the lease back.
local lane, token, number, keeps = ARGV[2], ARGV[3], ARGV[4], ARGV[5] == '1'
local done = tonumber(ARGV[6])
local key = lane_key(lane)

local function build_answer(stop, wakes)
  local answer = { 'ok', stop }
  for woken in string.gmatch(wakes, '%S+') do answer[#answer + 1] = woken end
  return answer
end

local state = redis.call('HMGET', key, 'held', 'token', 'commit', 'answer', 'stop', 'lost')
local stop = read_int(state[5])
local last = last_commit(state[3], token)
if tonumber(number) == last then return build_answer(stop, state[4]) end -- check: last commit
if not is_held_by(state, token) then return { 'lost' } end -- check: fence
-- A connection that was given up may deliver a commit once more, after its holder's next one.
if tonumber(number) < last then return { 'rejected a later commit was applied' } end

-- The handled ids and the one behind them, which is the next head.
local head = done > 0 and redis.call('LRANGE', ids_key(lane), 0, done) or {}
for i = 1, done do
  if head[i] ~= ARGV[6 + i] then return { 'rejected the done ids are not the head of the lane' } end
end
local list = read_effects(7 + done)
local reason = check_effects(list)
if reason then return { reason } end

-- From here on it writes, and nothing can fail any more. If something did, the handled ids would still
-- be in the lane: they go last, with what changes in the lane itself.
-- The first write removes nothing. It fails if the index is of another type, and it is allowed when
-- Redis is full, as are all that follow it.
redis.call('ZREM', DUE, '')
local wakes, changes = {}, { 'commit', token .. ':' .. number }
handled[lane] = done
apply_effects(list, wakes)
stop = stopped[lane] or math.max(0, stop - done)
local function change(field, value)
  changes[#changes + 1] = field
  changes[#changes + 1] = value
end
if done > 0 then
  -- The journal, the losses and the strikes belong to the head, which has moved. The next head is
  -- in hand now if the lease is kept.
  if state[6] then redis.call('HDEL', key, 'lost', 'alone') end
  if kind_of(lane) == 'session' then redis.call('DEL', journal_key(lane)) end
  if read_int(state[5]) > 0 then change('stop', stop) end
  change('strikes', '0')
  change('begun', keeps and head[done + 1] or '')
  change('again', '0')
  redis.call('LTRIM', ids_key(lane), done, -1)
end
if not keeps then
  change('held', '0')
  if schedule(lane) then add_wake(wakes, lane) end
end
local wakes_text = table.concat(wakes, ' ')
change('answer', wakes_text)
redis.call('HSET', key, unpack(changes))
return build_answer(stop, wakes_text)
