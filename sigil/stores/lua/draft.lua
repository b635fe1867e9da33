-- Replaces drafts of turns in the logs of their live chats.
-- ARGV: prefix, ttl s of a log, then for each draft: stream, key of the draft, fencing token,
-- revision, entry.
-- Answers for each draft 1; or 0 if it is out of date, and then nothing was written: a later lease's
-- worker has written one, this revision or a later one is there, or the turn's reply is. So it does for
-- a draft whose keys are of another type.
-- Repeating it is safe: the same revision is out of date by then.
-- A stream cannot change an entry, so the old draft is deleted and a new one appended.
local DRAFT_TTL = 3600

local function replace(stream, draft, token, revision, entry)
  local state = try_read('HMGET', draft, 'token', 'revision', 'entry', 'done')
  if not state then return 0 end
  local last_token, last_revision = read_int(state[1]), read_int(state[2] or '-1')
  local last_entry, is_done = state[3], state[4]
  local mine = tonumber(token)
  if is_done or mine < last_token then return 0 end
  if mine == last_token and tonumber(revision) <= last_revision then return 0 end
  -- Written first, this needs no memory, so that what follows is allowed when Redis is full. It fails
  -- if the log is a key of another type, which must not hold up the other drafts.
  if type(redis.pcall('XDEL', stream, last_entry or '0-1')) == 'table' then return 0 end
  local id = redis.call('XADD', stream, '*', 'data', entry)
  redis.call('HSET', draft, 'token', token, 'revision', revision, 'entry', id)
  extend_ttl(draft, DRAFT_TTL)
  extend_ttl(stream, ARGV[2])
  return 1
end

local answers = {}
for i = 3, #ARGV, 5 do
  answers[#answers + 1] = replace(ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3], ARGV[i + 4])
end
return answers
