-- Appends messages to the history of a session's epoch.
-- KEYS: the session. ARGV, after the prefix: the key of a history up to its epoch; how many
-- messages to keep; seconds to live; the messages.
local history = ARGV[2] .. (redis.call('HGET', KEYS[1], 'epoch') or '0')
for i = 5, #ARGV do
  redis.call('RPUSH', history, ARGV[i])
end
redis.call('LTRIM', history, -tonumber(ARGV[3]), -1)
redis.call('EXPIRE', history, ARGV[4])
return 1
