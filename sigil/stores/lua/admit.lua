-- Chooses the key that a model is called with: the session's own key, or else the next in turn.
-- KEYS: the states of the model's keys (a hash: key -> state), the turn counter of its keys, then
-- the session's key (left out: no session).
-- ARGV: prefix, token of a probe, lease of a probe in ms, how long a session keeps its key in s,
-- then the keys.
-- A state is 'ends lease probe failures reason steps':
--   ends      when the cooldown is over, in ms
--   lease     until when the probe may take, in ms; without a probe, when this was written
--   probe     the token of the probe, or '-'
--   failures, reason, steps    see cool.lua
-- A key without a state has nothing wrong with it.
-- Answers {1, key, '1' if this call is the probe}, or {0, key, state, now} of the key whose
-- cooldown ends first.
-- After a cooldown one call in the whole cluster, the probe, finds out whether the model works
-- again. It has a lease, so that a probe that dies does not block the model. Its token is a fence:
-- once another probe has replaced it, it can report nothing any more.
-- Repeating it is safe: the same token is given its probe again.
local token, lease, keep = ARGV[2], tonumber(ARGV[3]), ARGV[4]
local keys = {}
for at = 5, #ARGV do keys[#keys + 1] = ARGV[at] end
local states = redis.call('HMGET', KEYS[1], unpack(keys))
local session_key = KEYS[3] and try_read('GETEX', KEYS[3], 'EX', keep)

local soonest, soonest_ends
local function try_key(at)
  local key, state = keys[at], states[at]
  if not state then return { 1, key, '' } end
  local ends, leased_until, probe, rest = string.match(state, '^(%d+) (%d+) (%S+) (.*)$')
  if not ends then return { 1, key, '' } end -- nobody can read it
  -- After the clock stepped back, all this would last for as long as it stepped. So it is over.
  if tonumber(leased_until) > NOW + (probe == '-' and 0 or lease) + CLOCK_SLACK then
    ends, leased_until = format_int(NOW), '0'
  end
  local is_over = tonumber(ends) <= NOW
  if is_over and (probe == token or tonumber(leased_until) <= NOW) then
    local new_state = table.concat({ ends, format_int(NOW + lease), token, rest }, ' ')
    write_first('HSET', KEYS[1], key, new_state)
    return { 1, key, '1' }
  end
  if not soonest or tonumber(ends) < soonest_ends then
    soonest, soonest_ends = at, tonumber(ends)
  end
  return nil
end

for at, key in ipairs(keys) do
  local answer = key == session_key and try_key(at)
  if answer then return answer end
end
local turn = 0
if #keys > 1 then
  -- Whatever else is stored there is overwritten.
  turn = (tonumber(try_read('GET', KEYS[2]) or '') or 0) + 1
  write_first('SET', KEYS[2], format_int(turn), 'EX', keep)
end
for step = 1, #keys do
  local answer = try_key((turn + step - 2) % #keys + 1)
  if answer then
    if KEYS[3] then redis.call('SET', KEYS[3], answer[2], 'EX', keep) end
    return answer
  end
end
return { 0, keys[soonest], states[soonest], format_int(NOW) }
