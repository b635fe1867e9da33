-- Replaces a hold by what was spent.
-- ARGV: prefix, key of the hold, spent.
-- Answers 1; or 0 if the hold was settled or has expired before, and then nothing changes.
-- Repeating it is safe: the second time the hold is settled already.
return settle_hold(ARGV[2], ARGV[3]) and 1 or 0
