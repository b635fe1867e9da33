-- Chooses the key that a model is called with: the session's own, else the next in turn.
-- KEYS: what is known of the model (a hash: key -> state), the turn of its keys, then the
-- session's key (left out: no session).
-- ARGV, after the prefix: the token of a probe, its lease in ms, how long a session keeps its
-- key in s, then the keys.
-- A state is 'ends lease probe failures reason steps': until when it rests, and until when the
-- probe named (or '-') may take, in ms; see cool.lua for the rest. No state: nothing is wrong.
-- Answers {1, key, '1' if it is the probe}, or {0, key, state, now} of the one that ends first.
local token, lease, keep = ARGV[2], tonumber(ARGV[3]), ARGV[4]
local keys = {}
for at = 5, #ARGV do keys[#keys + 1] = ARGV[at] end
local states = redis.call('HMGET', KEYS[1], unpack(keys))
local own = KEYS[3] and redis.call('GETEX', KEYS[3], 'EX', keep)

local first, first_ends
local function try(at)
  local key, state = keys[at], states[at]
  if not state then return { 1, key, '' } end
  local ends, held, probe, rest = string.match(state, '^(%d+) (%d+) (%S+) (.*)$')
  if tonumber(ends) <= NOW and (probe == token or tonumber(held) <= NOW) then
    redis.call('HSET', KEYS[1], key, table.concat({ ends, int(NOW + lease), token, rest }, ' '))
    return { 1, key, '1' }
  end
  if not first or tonumber(ends) < first_ends then first, first_ends = at, tonumber(ends) end
  return nil
end

for at, key in ipairs(keys) do
  local found = key == own and try(at)
  if found then return found end
end
local turn = 0
if #keys > 1 then
  turn = redis.call('INCR', KEYS[2])
  redis.call('EXPIRE', KEYS[2], keep)
end
for step = 1, #keys do
  local found = try((turn + step - 2) % #keys + 1)
  if found then
    if KEYS[3] then redis.call('SET', KEYS[3], found[2], 'EX', keep) end
    return found
  end
end
return { 0, keys[first], states[first], int(NOW) }
