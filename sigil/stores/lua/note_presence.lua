-- Keeps what came of showing a turn.
-- ARGV: prefix, key, token and revision that were shown, message in which they are now or '', typing
-- was shown ('1' or '0'), is lost ('1' or '0').
local key = ARGV[2]
if redis.call('EXISTS', key) == 0 then return end
redis.call('HDEL', key, 'busy_until')
if ARGV[5] ~= '' then
  redis.call('HSET', key, 'shown', ARGV[5], 'shown_token', ARGV[3], 'shown_revision', ARGV[4])
end
if ARGV[6] == '1' then redis.call('HSET', key, 'typed_at', format_int(NOW)) end
if ARGV[7] == '1' then redis.call('HSET', key, 'lost', '1') end
