-- Settles reservations whose time is over at their full amount. ARGV: prefix, most.
-- Answers how many.
return expire(tonumber(ARGV[2]))
