-- Lists what lies in the lanes, part by part, and reads ledgers at the same moment.
-- ARGV: prefix, cursor ('0' to begin), about how many lanes, then the days of the ledgers.
-- Answers {next cursor ('0' at the end), {lane, {id, …}, …}, {{counter, count, …} for each day}}.
-- A key of another type counts as empty.
-- Every lane that has work is in the index of due lanes, so nothing else has to be looked at.
-- Repeating it is safe: it only reads.
local scanned = try_read('ZSCAN', DUE, ARGV[2], 'COUNT', ARGV[3]) or { '0', {} }
local work = {}
for at = 1, #scanned[2], 2 do
  local lane = scanned[2][at]
  work[#work + 1] = lane
  work[#work + 1] = try_read('LRANGE', ids_key(lane), 0, -1) or {}
end
local ledgers = {}
for at = 4, #ARGV do ledgers[#ledgers + 1] = try_read('HGETALL', ledger_key(ARGV[at])) or {} end
return { scanned[1], work, ledgers }
