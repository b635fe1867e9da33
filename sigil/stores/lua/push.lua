-- Appends one item to a lane, once ever, and applies further effects in the same step.
-- ARGV: prefix, nonce, the sender whose limit holds ('': none does) with the interval in ms, the burst
-- and the most that may wait (see _limits.lua), then the push itself as the first effect, then the
-- other effects.
-- Answers {'pushed', lanes to wake…}; {'refused', 'first' or 'again'} if the sender writes too much: the
-- other effects are applied and the item has ended; or {'duplicate', lanes to wake…},
-- {'full <noticed> <lane>'}, {'rejected <why>'} or {'no_room'}, and then nothing was applied. Only the
-- count of duplicates rises.
-- Repeating it is safe: the nonce names this push. Whoever repeats it, since the first
-- answer was lost, hears that the item was pushed, until the item ends.
local nonce, list = ARGV[2], read_effects(7)
local limit = ARGV[3] ~= '' and {
  key = P .. 'limit:' .. ARGV[3],
  interval = tonumber(ARGV[4]),
  burst = tonumber(ARGV[5]),
  most = tonumber(ARGV[6]),
}
local args = list[1].args
local lane, id = args[1], args[2]
if was_pushed(id, lane) then -- check: duplicate
  local answer = { redis.call('HGET', item_key(id), 'nonce') == nonce and 'pushed' or 'duplicate' }
  -- The wake-up may be lost as well.
  local is_held = try_read('HGET', lane_key(lane), 'held') == '1'
  if not is_held and try_read('LPOS', ids_key(lane), id, 'MAXLEN', 1000) then answer[2] = lane end
  if answer[1] == 'duplicate' and not check_ledger(today(), 'duplicate') then
    redis.call('DEL', P .. 'nothing') -- so that it is counted also when Redis is full
    count_in_ledger(today(), 'duplicate')
  end
  return answer
end
local _, _, is_full = measure_room()
if is_full then return { 'no_room' } end
args[#args + 1], args[#args + 2] = 'nonce', nonce
local _, reason = try_read('ZCARD', DUE)
reason = reason or check_effects(list)
local state = limit and measure_limit(limit) or {}
if state.refuses then reason = reason or check_end(id, 'refused') end
if reason then return { reason } end
if state.refuses then
  table.remove(list, 1)
  apply_effects(list, {})
  refuse_item(id, lane)
  if state.refuses == 'first' then save_limit(limit, state) end
  return { 'refused', state.refuses }
end
-- `take` gives the item out when its time has come.
if state.due then
  args[#args + 1], args[#args + 2] = 'due', format_int(state.due) .. ' ' .. format_int(NOW)
end
local answer = { 'pushed' }
apply_effects(list, answer)
if limit then save_limit(limit, state) end
return answer
