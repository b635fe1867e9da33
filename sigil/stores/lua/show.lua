-- Appends an event to a live chat's log once per event id. ARGV: prefix, stream, seen,
-- event id, entry, most kept, ttl s, key of the turn's draft (or '').
local args = { ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6], ARGV[7] }
if redis.call('ZSCORE', ARGV[3], ARGV[4]) then return 0 end
show(args)
if ARGV[8] ~= '' then
  local entry = redis.call('HGET', ARGV[8], 'entry')
  if entry then redis.call('XDEL', ARGV[2], entry) end
  redis.call('HSET', ARGV[8], 'done', '1')
  redis.call('EXPIRE', ARGV[8], 3600)
end
return 1
