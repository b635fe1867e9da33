-- When the next message to a chat may go out.
-- ARGV: prefix, keys of the account's pace, the chat's pace and the account's rest, ms between two
-- messages to the chat, ms between two of the account, the longest wait (ms) with a lane in hand.
-- Answers {ms to wait, the account has rested ('1' or '0')}. A wait that is not longer than the
-- longest one is granted: the time is taken. After a longer one the caller asks again.
-- A repeat whose first answer was lost takes another time, which leaves a gap and no more.
--
-- The paces are hashes: `next`, before which no message may go out; `at`, when that was written; and for
-- a chat `slot`, the time that is kept for its next message in the row of the account. Each chat has one
-- such place, so a chat with a hundred messages does not keep others waiting.
local account, chat, rest = ARGV[2], ARGV[3], ARGV[4]
local chat_ms, account_ms, longest = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
-- Who comes later than this for its place in the row has lost it: many at once would be too quick.
local LATE = 1000
local KEPT = 60000

local rests = read_fields(rest, 'until', 'begun')
local has_rested = rests['until'] and '1' or '0'
local left = read_due(rests['until'], rests.begun) - NOW
if left > 0 then return { left, has_rested } end

local mine = read_fields(chat, 'next', 'at', 'slot')
local free_at = math.max(NOW, read_due(mine.next, mine.at))
if free_at - NOW > longest then return { free_at - NOW, has_rested } end

local function write(key, next, slot)
  redis.call('HSET', key, 'next', format_int(next), 'at', format_int(NOW), 'slot', format_int(slot))
  redis.call('PEXPIRE', key, format_int(math.max(next, slot) - NOW + KEPT))
end

local slot = read_due(mine.slot, mine.at)
if slot < NOW - LATE then
  slot = free_at
  if account_ms > 0 then
    local all = read_fields(account, 'next', 'at')
    slot = math.max(slot, read_due(all.next, all.at))
    write(account, slot + account_ms, 0)
  end
end
if slot - NOW > longest then
  write(chat, free_at, slot)
  return { slot - NOW, has_rested }
end
local goes_at = math.max(free_at, slot)
write(chat, goes_at + chat_ms, 0)
return { goes_at - NOW, has_rested }
