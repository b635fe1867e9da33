-- Lets an account rest: nothing is sent to it for a while.
-- ARGV: prefix, key of the account's rest, kind, why, ms that were asked for (-1: none), ms of the
-- first rest of this kind, ms of the longest one, ms for which it is remembered after its end.
-- Answers for how many ms from now it rests.
-- Several workers may fail at the same moment: the first one begins the rest, and it is doubled only
-- when it was over and the next try failed as well.
local key, kind, why, asked = ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5])
local first, longest, remembered = tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8])
local state = read_fields(key, 'kind', 'until', 'begun', 'times')
local left = read_due(state['until'], state.begun) - NOW
if left > 0 and left >= asked then return left end

local times = read_int(state.times)
if state.kind ~= kind then times = 0 end
if left <= 0 then times = times + 1 end
local pause = asked
if pause < 0 then pause = math.min(longest, first * 2 ^ math.min(times - 1, 20)) end
redis.call('HSET', key, 'kind', kind, 'why', why, 'until', format_int(NOW + pause),
  'begun', format_int(NOW), 'times', times)
redis.call('PEXPIRE', key, format_int(pause + remembered))
-- Every take of a lane reads this hash anyway; see take.lua.
local ends = NOW + pause + remembered
if read_number(P .. 'directory', 'rests') < ends then
  redis.call('HSET', P .. 'directory', 'rests', format_int(ends))
end
return pause
