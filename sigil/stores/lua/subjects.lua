-- Who has spent something today, the latest first. ARGV: prefix, index of subjects, most.
return redis.call('ZREVRANGE', subjects_key(ARGV[2]), 0, tonumber(ARGV[3]) - 1)
