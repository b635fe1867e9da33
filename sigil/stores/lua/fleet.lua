-- Answers the records of all processes; before that, writes one if it is given.
-- KEYS: the records (a hash: id -> when it was written, in ms, and the record).
-- ARGV: prefix, for how many ms a silent process is remembered, then id and record (left out: only
-- reads).
-- Answers {now in ms, id, value, id, value, …}, without those that are to be forgotten; a call that
-- writes also removes these.
local remember, id, record = tonumber(ARGV[2]), ARGV[3], ARGV[4]
if id then
  write_first('HSET', KEYS[1], id, format_int(NOW) .. ' ' .. record)
  redis.call('PEXPIRE', KEYS[1], format_int(remember))
end
local answer, forgotten = { format_int(NOW) }, {}
local known = redis.call('HGETALL', KEYS[1])
for at = 1, #known, 2 do
  local name, value = known[at], known[at + 1]
  if tonumber(string.match(value, '^%d+') or 0) < NOW - remember then
    forgotten[#forgotten + 1] = name
  else
    answer[#answer + 1], answer[#answer + 2] = name, value
  end
end
if id and #forgotten > 0 then redis.call('HDEL', KEYS[1], unpack(forgotten)) end
return answer
