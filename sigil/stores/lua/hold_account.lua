-- Takes, extends or ends the lease of an account, under which one process listens for it.
-- KEYS: the account (a hash: held, token, lease_until, leased_at; record and reported_at, what its
-- process says of it; cursor and saved_at).
-- ARGV: prefix, token, ttl ms (0: gives it up), takes it if nobody has it ('1' or '0'), ttl of the
-- account s, record.
-- Answers 1 if the token holds the lease, or has just given it up, else 0.
-- Repeating it is safe: a token names one time of holding, and never holds again after that.
local key, token, ttl, takes = KEYS[1], ARGV[2], tonumber(ARGV[3]), ARGV[4] == '1'
local state = read_fields(key, 'held', 'token', 'lease_until', 'leased_at')
local is_held, is_ours = state.held == '1', state.token == token
if is_ours and not is_held then return 0 end
local is_live = is_held and read_due(state.lease_until, state.leased_at) > NOW
if not is_ours and (is_live or not takes) then return 0 end
if ttl == 0 then
  write_first('HSET', key, 'held', '0')
  return 1
end
write_first('HSET', key, 'held', '1', 'token', token, 'lease_until', format_int(NOW + ttl),
  'leased_at', format_int(NOW), 'record', ARGV[6], 'reported_at', format_int(NOW))
extend_ttl(key, tonumber(ARGV[5]))
return 1
