-- Replaces a turn's draft in a live chat's log.
-- ARGV: prefix, stream, key of the draft, fencing token, revision, entry, ttl s.
-- Answers 1; or 0 if the draft is out of date, and then nothing was written: a later lease's worker
-- has written one, this revision or a later one is there, or the turn's reply is.
-- Repeating it is safe: the same revision is out of date by then.
-- A stream cannot change an entry, so the old draft is deleted and a new one appended.
local stream, draft, token, revision = ARGV[2], ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])
local state = redis.call('HMGET', draft, 'token', 'revision', 'entry', 'done')
local last_token, last_revision = tonumber(state[1] or '0'), tonumber(state[2] or '-1')
local last_entry, is_done = state[3], state[4]
if is_done then return 0 end
if token < last_token or (token == last_token and revision <= last_revision) then return 0 end
if last_entry then redis.call('XDEL', stream, last_entry) end
local entry = redis.call('XADD', stream, '*', 'data', ARGV[6])
redis.call('HSET', draft, 'token', ARGV[4], 'revision', ARGV[5], 'entry', entry)
redis.call('EXPIRE', draft, 3600)
redis.call('EXPIRE', stream, ARGV[7])
return 1
