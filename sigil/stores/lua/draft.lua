-- Replaces a turn's draft in a live chat's log. ARGV: prefix, stream, key of the draft, token,
-- revision, entry, ttl s. A lower token, an old revision, or a turn whose reply is there: 0.
local state = redis.call('HMGET', ARGV[3], 'token', 'revision', 'entry', 'done')
if state[4] then return 0 end
local token, revision = tonumber(ARGV[4]), tonumber(ARGV[5])
local last = tonumber(state[1] or '0')
if token < last or (token == last and revision <= tonumber(state[2] or '-1')) then return 0 end
if state[3] then redis.call('XDEL', ARGV[2], state[3]) end
local entry = redis.call('XADD', ARGV[2], '*', 'data', ARGV[6])
redis.call('HSET', ARGV[3], 'token', ARGV[4], 'revision', ARGV[5], 'entry', entry)
redis.call('EXPIRE', ARGV[3], 3600)
redis.call('EXPIRE', ARGV[2], ARGV[7])
return 1
