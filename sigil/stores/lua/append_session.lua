-- Appends messages to the history of a session's current epoch.
-- KEYS: the session. ARGV: prefix, the key of a history without the epoch at its end, most messages
-- kept, ttl s, the messages.
-- Answers 1. Repeating it appends again; the commit of a turn does not, and uses its own effect.
local history = ARGV[2] .. (redis.call('HGET', KEYS[1], 'epoch') or '0')
for i = 5, #ARGV do
  redis.call('RPUSH', history, ARGV[i])
end
redis.call('LTRIM', history, -tonumber(ARGV[3]), -1)
redis.call('EXPIRE', history, ARGV[4])
return 1
