-- Keeps how far an account has been read, for the holder of its lease.
-- KEYS: the account. ARGV: prefix, token, cursor.
-- Answers 1, or 0 if the lease was lost. Repeating it is safe: it writes the same again.
local state = redis.call('HMGET', KEYS[1], 'held', 'token')
if not is_held_by(state, ARGV[2]) then return 0 end -- check: fence
write_first('HSET', KEYS[1], 'cursor', ARGV[3], 'saved_at', format_int(NOW))
return 1
