-- Begins an episode, unless it has begun before.
-- KEYS: the episode. ARGV: prefix, ttl s.
-- Answers when it began, in ms. Repeating it is safe: it has begun by then.
local begun = try_read('GET', KEYS[1]) -- whatever else is stored there is overwritten
if begun then return begun end
local now = format_int(NOW)
write_first('SET', KEYS[1], now, 'EX', ARGV[2])
return now
