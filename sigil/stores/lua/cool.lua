-- Lets a model rest under one key, after a failure.
-- KEYS: the states of the model's keys (see admit.lua), the index of all models with states.
-- ARGV: prefix, key, token of the probe that failed (or ''), reason, steps (ms, joined by commas),
-- how long to rest instead of the step (ms, or ''), how long after its rest the state is remembered
-- (ms).
-- Answers {state, now}.
-- The first failure takes the first step, the second in a row takes the second, and so on; the last
-- step stays. Repeating it is safe: after the first time the probe's token is gone from the state.
local key, token, reason, steps = ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local instead, remember = ARGV[6], tonumber(ARGV[7])
local failures = 1
local name = string.sub(KEYS[1], #P + 1)
local forgotten_at = tonumber(redis.call('ZSCORE', KEYS[2], name) or '0')
local state = redis.call('HGET', KEYS[1], key)
local probe, count, last_steps = string.match(state or '', '^%d+ %d+ (%S+) (%d+) %S+ (%S+)$')
if probe then
  -- While a model rests, only probes are called. So any other failure is of a call that had begun
  -- before, or of a probe that was too slow and was replaced. Neither says anything new.
  if probe ~= token then return { state, format_int(NOW) } end
  -- Failures with other steps are of another kind, and begin a row of their own: the first failure
  -- to pay is not the second failure to connect.
  if last_steps == steps then failures = tonumber(count) + 1 end
end

local rest = tonumber(instead)
if not rest then
  local at = 0
  for step in string.gmatch(steps, '[^,]+') do
    at = at + 1
    if at <= failures then rest = tonumber(step) end
  end
end
local ends = NOW + rest
state = table.concat({ format_int(ends), format_int(NOW), '-', failures, reason, steps }, ' ')
write_first('HSET', KEYS[1], key, state)

-- The hash holds the states of several keys, and lives as long as the one that is needed longest.
local forget = math.max(ends + remember, forgotten_at)
redis.call('PEXPIREAT', KEYS[1], format_int(forget))
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', format_int(NOW))
redis.call('ZADD', KEYS[2], format_int(forget), name)
redis.call('PEXPIREAT', KEYS[2], format_int(math.max(forget, NOW + redis.call('PTTL', KEYS[2]))))
return { state, format_int(NOW) }
