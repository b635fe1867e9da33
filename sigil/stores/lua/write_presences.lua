-- Replaces what running turns show.
-- ARGV: prefix, index, ms for which a record counts, ms for which what was shown is known, then for
-- each: key, turn, fencing token, revision, text, place as JSON, delivery lane, key of the account's
-- rest, is over ('1' or '0').
-- A late one is dropped: a later lease's worker has written one, this revision or a later one is there,
-- or the turn's answer is being sent. Repeating it is safe: the same revision is late by then.
local index, lives, known = ARGV[2], tonumber(ARGV[3]), ARGV[4]
for i = 5, #ARGV, 9 do
  local key, turn, token, revision = ARGV[i], ARGV[i + 1], tonumber(ARGV[i + 2]), tonumber(ARGV[i + 3])
  local state = read_fields(key, 'token', 'revision', 'over')
  local last = read_int(state.token)
  local is_late = state.over or token < last
    or token == last and revision <= read_int(state.revision)
  if not is_late then
    local is_over = ARGV[i + 8] == '1'
    redis.call('HSET', key, 'token', ARGV[i + 2], 'revision', ARGV[i + 3], 'text', ARGV[i + 4],
      'place', ARGV[i + 5], 'lane', ARGV[i + 6], 'rest', ARGV[i + 7],
      'alive_until', is_over and '0' or format_int(NOW + lives))
    redis.call('PEXPIRE', key, known)
    if is_over then
      redis.call('ZREM', index, turn)
    else
      redis.call('ZADD', index, 'NX', format_int(NOW), turn)
    end
  end
end
