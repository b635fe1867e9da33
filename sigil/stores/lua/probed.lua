-- What became of a probe; nothing happens unless it is still the one that counts.
-- KEYS: what is known of the model (see admit.lua), the index of all that is known.
-- ARGV, after the prefix: the key, the probe's token, then `answered`, `released` or the new
-- lease in ms.
local key, token, outcome = ARGV[2], ARGV[3], ARGV[4]
local state = redis.call('HGET', KEYS[1], key)
if not state then return 0 end
local ends, probe, rest = string.match(state, '^(%d+) %d+ (%S+) (.*)$')
if probe ~= token then return 0 end

if outcome == 'answered' then
  redis.call('HDEL', KEYS[1], key)
  if redis.call('EXISTS', KEYS[1]) == 0 then
    redis.call('ZREM', KEYS[2], string.sub(KEYS[1], #P + 1))
  end
elseif outcome == 'released' then
  redis.call('HSET', KEYS[1], key, table.concat({ ends, '0', '-', rest }, ' '))
else
  redis.call('HSET', KEYS[1], key, table.concat({ ends, int(NOW + tonumber(outcome)), token, rest }, ' '))
end
return 1
