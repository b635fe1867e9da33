-- Reads the key of the installation, and makes it before anything is stored.
-- KEYS: the secret, then keys of which some exist once a message was accepted.
-- ARGV: prefix, a new secret.
-- Answers the secret; or nothing if it is lost: what is stored was named with another one.
-- Repeating it is safe: the first secret stays.
local secret = redis.call('GET', KEYS[1])
if secret then return secret end
for at = 2, #KEYS do
  if redis.call('EXISTS', KEYS[at]) == 1 then return false end
end
redis.call('SET', KEYS[1], ARGV[2])
return ARGV[2]
