-- Reports how a probe ended, or that it is still under way.
-- KEYS: the states of the model's keys (see admit.lua).
-- ARGV: prefix, key, the probe's token, then `answered`, or its new lease in ms (0 gives it back).
-- Answers a number that nobody needs. Does nothing if another probe has replaced this one, or if it
-- was given back: whatever its call or a late renewal still says then is of no account. So repeating
-- it is safe.
local key, token, outcome = ARGV[2], ARGV[3], ARGV[4]
local state = redis.call('HGET', KEYS[1], key)
if not state then return 0 end
local ends, probe, rest = string.match(state, '^(%d+) %d+ (%S+) (.*)$')
if probe ~= token then return 0 end
if outcome == 'answered' then return redis.call('HDEL', KEYS[1], key) end
local lease = tonumber(outcome)
local new_state = { ends, format_int(NOW), '-', rest }
if lease > 0 then new_state = { ends, format_int(NOW + lease), token, rest } end
return write_first('HSET', KEYS[1], key, table.concat(new_state, ' '))
