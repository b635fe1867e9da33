-- Appends an event to a live chat's log. A reply also removes the draft of its turn.
-- ARGV: prefix, stream, key of the ids shown, event id, entry, most kept, ttl s, key of the turn's
-- draft (or '').
-- Answers 1; or 0 if the event was shown before, and then nothing was written.
-- Repeating it is safe: ids that were shown are remembered.
local stream, shown, event_id, draft = ARGV[2], ARGV[3], ARGV[4], ARGV[8]
if redis.call('ZSCORE', shown, event_id) then return 0 end
local entry = draft ~= '' and redis.call('HGET', draft, 'entry')
-- Written first, this needs no memory, so that what follows is allowed when Redis is full. It fails if
-- the log is a key of another type.
redis.call('XDEL', stream, entry or '0-1')
append_event({ stream, shown, event_id, ARGV[5], ARGV[6], ARGV[7] })
if draft ~= '' then
  -- A late draft of this turn must not come back; see draft.lua.
  redis.call('HSET', draft, 'done', '1')
  redis.call('EXPIRE', draft, 3600)
end
return 1
