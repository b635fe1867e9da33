-- Puts a chat at the top of its user's list.
-- KEYS: the chat's owner, the list of the user's chats, the titles of these.
-- ARGV: prefix, user, chat, title, ttl s of the owner, most chats.
-- Answers 'ok', or 'no_room' if the server takes no new work, and then nothing was written.
-- Repeating it is safe: the first owner and the first title stay.
local owner, index, titles = KEYS[1], KEYS[2], KEYS[3]
local user, chat, title, ttl, most = ARGV[2], ARGV[3], ARGV[4], ARGV[5], tonumber(ARGV[6])
local _, _, is_full = measure_room()
if is_full then return 'no_room' end
redis.call('SET', owner, user, 'NX', 'EX', ttl)
redis.call('EXPIRE', owner, ttl)
redis.call('ZADD', index, string.format('%.3f', NOW_US / 1000000), chat)
redis.call('HSETNX', titles, chat, title)
local dropped = redis.call('ZRANGE', index, 0, -1 - most)
if #dropped > 0 then
  redis.call('ZREMRANGEBYRANK', index, 0, -1 - most)
  redis.call('HDEL', titles, unpack(dropped))
end
return 'ok'
