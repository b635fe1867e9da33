-- Keeps the last message of a chat that was accepted, for the holder of the account's lease.
-- KEYS: the account, its last messages (a hash: chat -> message), their chats (by time).
-- ARGV: prefix, token, chat, message, most chats, ttl s.
-- Answers 1, or 0 if the lease was lost. Repeating it is safe: it writes the same again.
local account, messages, chats = KEYS[1], KEYS[2], KEYS[3]
local state = redis.call('HMGET', account, 'held', 'token')
if not is_held_by(state, ARGV[2]) then return 0 end -- check: fence
redis.call('ZCARD', chats) -- which fails if it is of another type, before anything was written
write_first('HSET', messages, ARGV[3], ARGV[4])
redis.call('ZADD', chats, format_int(NOW), ARGV[3])
local beyond = redis.call('ZRANGE', chats, 0, -1 - tonumber(ARGV[5]))
if #beyond > 0 then
  redis.call('HDEL', messages, unpack(beyond, 1, math.min(#beyond, MOST_UNPACKED)))
  redis.call('ZREM', chats, unpack(beyond, 1, math.min(#beyond, MOST_UNPACKED)))
end
extend_ttl(messages, tonumber(ARGV[6]))
extend_ttl(chats, tonumber(ARGV[6]))
return 1
