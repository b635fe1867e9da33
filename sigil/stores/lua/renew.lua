-- Extends leases, as many as are named.
-- ARGV: prefix, ttl ms, then for each lease its lane and token.
-- Answers for each lease two numbers: how many items at the head are to be stopped, and after how
-- many commits under this token; or -1 and 0 if it was lost.
-- Repeating it is safe: it only extends the leases again.
local leased_at, lease_until = format_int(NOW), format_int(NOW + tonumber(ARGV[2]))
local answer, due = {}, {}
local function add_answer(stop, commits)
  answer[#answer + 1] = stop
  answer[#answer + 1] = commits
end
for i = 3, #ARGV, 2 do
  local lane, token = ARGV[i], ARGV[i + 1]
  local key = lane_key(lane)
  local state = redis.call('HMGET', key, 'held', 'token', 'stop', 'commit')
  if is_held_by(state, token) then
    write_first('HSET', key, 'lease_until', lease_until, 'leased_at', leased_at)
    due[#due + 1] = lease_until
    due[#due + 1] = lane
    add_answer(read_int(state[3]), last_commit(state[4], token))
  else
    add_answer(-1, 0)
  end
end
if #due > 0 then redis.call('ZADD', DUE, unpack(due)) end
return answer
