-- Replaces the directory's overlay and answers its new version.
-- ARGV: prefix, the overlay as JSON, the version that it is to replace ('': any).
-- Answers 0, and writes nothing, if there is another version by now.
-- The version is taken from the clock, in microseconds, so that it still rises after a failover
-- that lost the last write: a number that a process has seen is never given to another overlay.
-- Repeating it stores the same overlay under a newer version, which costs one more load.
local key = P .. 'directory'
local last = tonumber(redis.call('HGET', key, 'version') or '0')
if ARGV[3] ~= '' and last ~= tonumber(ARGV[3]) then return 0 end
local version = format_int(math.max(last + 1, NOW_US))
redis.call('HSET', key, 'version', version, 'overlay', ARGV[2])
return version
