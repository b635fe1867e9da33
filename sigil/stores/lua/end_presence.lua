-- The answer of a turn is about to be sent: nothing more is shown of it.
-- ARGV: prefix, index, key, turn, ms for which this is known.
-- Answers {message in which the draft is or '', ms for which somebody may be about to show something}.
local index, key, turn = ARGV[2], ARGV[3], ARGV[4]
local state = read_fields(key, 'shown', 'busy_until')
redis.call('HSET', key, 'over', '1')
redis.call('HDEL', key, 'text')
redis.call('PEXPIRE', key, ARGV[5])
redis.call('ZREM', index, turn)
return { state.shown or '', math.max(0, read_int(state.busy_until) - NOW) }
