-- Lists who has reserved anything in a scope today, the latest first.
-- ARGV: prefix, index of the scope's subjects, most subjects.
return redis.call('ZREVRANGE', subjects_key(ARGV[2]), 0, tonumber(ARGV[3]) - 1)
