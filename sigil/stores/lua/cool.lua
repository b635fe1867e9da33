-- Lets a model rest under one key, after a failure.
-- KEYS: what is known of the model (see admit.lua), the index of all that is known.
-- ARGV, after the prefix: the key, the token of the probe that failed (or ''), the reason, the
-- steps (ms, joined by commas), how long to rest instead of the step (ms, or ''), how long after
-- its rest it is remembered (ms).
-- Answers {state, now}.
local key, token, reason, steps = ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local instead, remember = ARGV[6], tonumber(ARGV[7])
local failures = 1
local state = redis.call('HGET', KEYS[1], key)
if state then
  local probe, count, known = string.match(state, '^%d+ %d+ (%S+) (%d+) %S+ (%S+)$')
  -- Only a probe is let through while something is known. Whatever else fails was under way
  -- before, or is a probe that took too long: another one finds out.
  if probe ~= token then return { state, int(NOW) } end
  -- A row of one kind: the first failure to pay is no second failure to connect.
  if known == steps then failures = tonumber(count) + 1 end
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
state = table.concat({ int(ends), '0', '-', failures, reason, steps }, ' ')
redis.call('HSET', KEYS[1], key, state)

local name = string.sub(KEYS[1], #P + 1)
local forget = math.max(ends + remember, tonumber(redis.call('ZSCORE', KEYS[2], name) or '0'))
redis.call('PEXPIREAT', KEYS[1], int(forget))
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', int(NOW))
redis.call('ZADD', KEYS[2], int(forget), name)
redis.call('PEXPIREAT', KEYS[2], int(math.max(forget, NOW + redis.call('PTTL', KEYS[2]))))
return { state, int(NOW) }
