-- The turns that are to be shown now, each given to one process.
-- ARGV: prefix, index, prefix of the records' keys, most, ms until one is shown again, ms for which
-- nobody else shows it.
-- Answers for each: turn, place, text, token, revision, message in which it is shown or '', that
-- message's token and revision, ms since typing was shown (-1: never), is lost ('1' or '0').
local index, keys, most, pause = ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5])
local due, answer = {}, {}
if redis.call('EXISTS', index) == 1 then
  due = redis.call('ZRANGEBYSCORE', index, '-inf', format_int(NOW), 'LIMIT', 0, most)
end
for _, turn in ipairs(due) do
  local key = keys .. turn
  local state = read_fields(key, 'alive_until', 'over', 'busy_until', 'lane', 'rest', 'place', 'text',
    'token', 'revision', 'shown', 'shown_token', 'shown_revision', 'typed_at', 'lost')
  local next_at = NOW + pause
  if state.over or read_int(state.alive_until) <= NOW then
    redis.call('ZREM', index, turn)
  else
    local is_free = read_int(state.busy_until) <= NOW
      and redis.call('LLEN', ids_key(state.lane)) == 0
      and read_number(state.rest, 'until') <= NOW
    if is_free then
      redis.call('HSET', key, 'busy_until', format_int(NOW + tonumber(ARGV[6])))
      answer[#answer + 1] = { turn, state.place, state.text, state.token, state.revision,
        state.shown or '', state.shown_token or '0', state.shown_revision or '-1',
        state.typed_at and NOW - read_int(state.typed_at) or -1, state.lost or '0' }
    end
    redis.call('ZADD', index, format_int(next_at), turn)
  end
end
return answer
