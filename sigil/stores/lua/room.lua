-- Says how much memory is used, and whether new work is refused.
-- KEYS: a key that never exists. ARGV: prefix, '1' to fail if the server takes no writes at all.
-- Answers {used bytes, the limit (0: none), '1' if new work is refused, else '0'}.
-- Repeating it is safe: it changes nothing.
if ARGV[2] == '1' then redis.call('DEL', KEYS[1]) end
local used, limit, is_full = measure_room()
return { format_int(used), format_int(limit), is_full and '1' or '0' }
