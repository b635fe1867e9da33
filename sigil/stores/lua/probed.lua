-- What became of a probe; nothing happens unless it is still the one that counts.
-- KEYS: what is known of the model (see admit.lua).
-- ARGV, after the prefix: the key, the probe's token, then `answered`, or its new lease in ms
-- (0: it was given back).
local key, token, outcome = ARGV[2], ARGV[3], ARGV[4]
local state = redis.call('HGET', KEYS[1], key)
if not state then return 0 end
local ends, probe, rest = string.match(state, '^(%d+) %d+ (%S+) (.*)$')
if probe ~= token then return 0 end
if outcome == 'answered' then return redis.call('HDEL', KEYS[1], key) end
local lease = int(NOW + tonumber(outcome))
return redis.call('HSET', KEYS[1], key, table.concat({ ends, lease, token, rest }, ' '))
