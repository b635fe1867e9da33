-- Settles holds whose time is over, at their full amount.
-- ARGV: prefix, most holds. Answers how many it settled. Repeating it is safe.
local count = expire_holds(tonumber(ARGV[2]))
shorten_holds(tonumber(ARGV[2]))
return count
