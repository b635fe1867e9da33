-- Replaces a reservation by what was spent. ARGV: prefix, key of the reservation, spent.
-- Answers 1; or 0 if it was settled or expired before, and then nothing changes.
return settle(ARGV[2], ARGV[3]) and 1 or 0
