-- Counts a message of a group, once in a window.
-- KEYS: the group's window (a hash: of each message, which one it was; begun; ends).
-- ARGV: prefix, message, ms of a window.
-- Answers which message of the window it is. Repeating it is safe: a message stays which one it was.
local key, message, length = KEYS[1], 'id:' .. ARGV[2], tonumber(ARGV[3])
local window = read_fields(key, 'begun', 'ends', message)
if read_due(window.ends, window.begun) <= NOW then
  redis.call('DEL', key)
  redis.call('HSET', key, 'begun', format_int(NOW), 'ends', format_int(NOW + length))
  redis.call('PEXPIRE', key, length)
  window[message] = nil
end
if window[message] then return read_int(window[message]) end
local count = redis.call('HLEN', key) - 1
redis.call('HSET', key, message, count)
return count
