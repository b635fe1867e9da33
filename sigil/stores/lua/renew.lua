-- Extends leases, as many as are named.
-- ARGV: prefix, ttl ms, then for each lease its lane and token.
-- Answers for each lease how many items at the head are to be stopped, or -1 if it was lost.
-- Repeating it is safe: it only extends the leases again.
local leased_at, lease_until = format_int(NOW), format_int(NOW + tonumber(ARGV[2]))
local answer, due = {}, {}
for i = 3, #ARGV, 2 do
  local lane, token = ARGV[i], ARGV[i + 1]
  local key = lane_key(lane)
  local state = redis.call('HMGET', key, 'held', 'token', 'stop')
  if is_held_by(state, token) then
    write_first('HSET', key, 'lease_until', lease_until, 'leased_at', leased_at)
    due[#due + 1] = lease_until
    due[#due + 1] = lane
    answer[#answer + 1] = tonumber(state[3] or '0')
  else
    answer[#answer + 1] = -1
  end
end
if #due > 0 then redis.call('ZADD', DUE, unpack(due)) end
return answer
