-- Adds or replaces a user, unless another user holds one of the identities.
-- KEYS: the user, the set of user ids, then one key per identity.
-- ARGV: prefix, user id, user as JSON, the keys of the identities as a JSON list.
-- Answers 0; or the position of the first identity that another user holds, and then nothing was
-- written. Repeating it is safe: it writes the same again.
local reason = check_type(KEYS[1], 'hash') or check_type(KEYS[2], 'set')
if reason then return redis.error_reply('ERR ' .. reason) end
local identities = {}
for i = 3, #KEYS do
  if is_held_by_another(KEYS[i], KEYS[1]) then return i - 2 end
  identities[#identities + 1] = KEYS[i]
end
save_user(KEYS[1], KEYS[2], ARGV[2], ARGV[3], identities, ARGV[4])
return 0
