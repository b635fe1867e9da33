-- Finds lanes that have work and are missing from the index of due lanes, so that nobody would ever look
-- at them: somebody has edited the index, or the lane was in quarantine. A part of a slow walk.
-- ARGV: prefix, pattern of the lists' keys, cursor ('0' to begin), about how many keys, put them back
-- ('1' or '0').
-- Answers {next cursor ('0' at the end), {lane, how many items, …}}.
-- Repeating it is safe: a lane that was put back is in the index.
local puts_back = ARGV[5] == '1'
local found = {}

local function is_sound(lane)
  return not (check_type(ids_key(lane), 'list') or check_type(lane_key(lane), 'hash'))
end

local function look_at(lane)
  local waiting = redis.call('LLEN', ids_key(lane))
  local is_due, reason = try_read('ZSCORE', DUE, lane)
  if waiting == 0 or is_due or reason then return end
  if puts_back then write_first('ZADD', DUE, format_int(NOW), lane) end
  found[#found + 1], found[#found + 2] = lane, waiting
end

-- Lanes whose keys somebody has set right come back first.
for _, lane in ipairs(try_read('HRANDFIELD', QUARANTINE, 100) or {}) do
  if is_sound(lane) then
    if puts_back then redis.call('HDEL', QUARANTINE, lane) end
    look_at(lane)
  end
end
local scanned = redis.call('SCAN', ARGV[3], 'MATCH', ARGV[2], 'COUNT', ARGV[4], 'TYPE', 'list')
for _, key in ipairs(scanned[2]) do
  local lane = string.sub(key, #lane_key('') + 1, -1 - #':ids')
  if ids_key(lane) == key and is_sound(lane) then look_at(lane) end
end
return { scanned[1], found }
