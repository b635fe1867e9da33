-- Moves a pairing to a user, or removes it.
-- KEYS: the pairing, then the set of the user's pairings (left out to remove the pairing).
-- ARGV: prefix, user id.
-- Answers 1. Repeating it is safe: it writes the same again.
local reason = check_pairing(KEYS[1], KEYS[2])
if reason then return redis.error_reply('ERR ' .. reason) end
save_pairing(KEYS[1], KEYS[2], ARGV[2])
return 1
