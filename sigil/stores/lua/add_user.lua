-- Adds or replaces a user, unless another user holds one of the identities.
-- KEYS: the user, the set of user ids, then one key per identity.
-- ARGV: prefix, user id, user as JSON, the keys of the identities as a JSON list.
-- Answers 0; or the position of the first identity that another user holds, and then nothing was
-- written. Repeating it is safe: it writes the same again.
for i = 3, #KEYS do
  local holder = redis.call('GET', KEYS[i])
  if holder and holder ~= KEYS[1] then
    return i - 2
  end
end
-- The identities that the user has had until now are free, unless they are set again below.
local held = redis.call('HGET', KEYS[1], 'held')
if held then
  for _, key in ipairs(cjson.decode(held)) do
    redis.call('DEL', key)
  end
end
for i = 3, #KEYS do
  redis.call('SET', KEYS[i], KEYS[1])
end
redis.call('HSET', KEYS[1], 'data', ARGV[3], 'held', ARGV[4])
redis.call('SADD', KEYS[2], ARGV[2])
return 0
