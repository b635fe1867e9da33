-- Appends messages to the history of a session's current epoch.
-- KEYS: the session. ARGV: prefix, the key of a history without the epoch at its end, most messages
-- kept, ttl s, the messages.
-- Answers 1. Repeating it appends again; the commit of a turn does not, and uses its own effect.
local version = redis.call('HGET', KEYS[1], 'version') or '0'
if not is_whole(version) then return redis.error_reply('ERR ' .. KEYS[1] .. ' has no version') end
local history = ARGV[2] .. (redis.call('HGET', KEYS[1], 'epoch') or '0')
append_capped(history, ARGV, 5, tonumber(ARGV[3]), tonumber(ARGV[4]))
-- A turn that has read the session before this is told so by its commit.
redis.call('HINCRBY', KEYS[1], 'version', 1)
extend_ttl(KEYS[1], tonumber(ARGV[4]))
return 1
