-- The records of items, item:<id>, and the ledger that counts them.
--
-- A record is a hash:
--   lane:<kind>          the lane of that kind that the item was pushed to
--   day                  when it was accepted, or pushed if it is a reply: the day it counts on
--   body, route          its content, until it ends
--   extras               what a reply carries beside its text, until it ends
--   nonce                that of the push that brought it, until it ends
--   due                  'until at': when it may be routed, as its sender wrote faster than the limit;
--                        and when that was written
--   epoch                of the session when the message was routed to it
--   chunk:<n>, turn      the receipts of a reply, and the turn that made it
--   report:<n>           what the platform said later of that chunk: a state, and maybe why
--   bounced              '1' if it said that a chunk was not delivered after all
--   outcome, delivery    how a message and how a reply has ended
--   dead_stage, dead_reason

-- What the checks have read: id -> its day, outcome, delivery and whether it bounced. What is written
-- is noted here too.
local records = {}

local function read_record(id)
  if records[id] then return records[id] end
  local values, reason = try_read('HMGET', item_key(id), 'day', 'outcome', 'delivery', 'bounced')
  if reason then return nil, reason end
  records[id] = { day = values[1], outcome = values[2], delivery = values[3], bounced = values[4] }
  return records[id]
end

local checked = {} -- counters of ledgers

-- Whether a ledger can count: nil, or the reason why not.
local function check_ledger(day, counter)
  local key = ledger_key(day)
  if checked[key .. counter] then return end
  local count, reason = try_read('HGET', key, counter)
  if reason then return reason end
  if count and not is_whole(count) then return 'rejected ' .. key .. ' has no number of ' .. counter end
  checked[key .. counter] = true
end

-- The first count of each counter sets the time to live, so a ledger outlives its day by LEDGER_TTL.
local function count_in_ledger(day, counter)
  if redis.call('HINCRBY', ledger_key(day), counter, 1) == 1 then
    redis.call('EXPIRE', ledger_key(day), LEDGER_TTL)
  end
end

local function note_day(id)
  if records[id] then records[id].day = today() end
end

-- A hash that has held a long value takes several times the memory that its fields need, also after
-- the value is gone (Redis keeps it as a table). So a record that ends is written anew, and takes the
-- place of the old one when it is there.
local function rewrite_record(key, fields)
  local new = key .. ':new'
  if type(redis.pcall('HSET', new, unpack(fields))) == 'table' then
    redis.call('DEL', new) -- somebody else's, of another type
    redis.call('HSET', new, unpack(fields))
  end
  redis.call('RENAME', new, key)
end

-- Of a message that came in stay its day, its outcome and the proof that it was pushed: the names of
-- its lanes' fields. There is one such record for each message of a week, so each byte counts.
local function keep_proof(key, day, outcome)
  local fields = { 'day', day, 'outcome', outcome }
  for _, name in ipairs(redis.call('HKEYS', key)) do
    if string.sub(name, 1, 5) == 'lane:' then
      fields[#fields + 1] = name
      fields[#fields + 1] = ''
    end
  end
  rewrite_record(key, fields)
end

-- Of a reply stays all but its content: its receipts are wanted for a day.
local function keep_receipts(key, day, delivery)
  redis.call('HDEL', key, 'body', 'extras', 'nonce')
  local fields = redis.call('HGETALL', key)
  -- A reply of very many chunks stays as it is: it has more fields than `unpack` takes.
  if #fields > MOST_UNPACKED then
    redis.call('HSET', key, 'day', day, 'delivery', delivery)
    return
  end
  for _, part in ipairs({ 'day', day, 'delivery', delivery }) do fields[#fields + 1] = part end
  rewrite_record(key, fields)
end

local keep_rest = { outcome = keep_proof, delivery = keep_receipts }

-- Whether an item can end: nil, or the reason why not. `begun` counts replies that nobody has counted
-- yet; see `end_item`.
local function check_end(id, counter, begun)
  local record, reason = read_record(id)
  if reason then return reason end
  local day = record.day or today()
  if record.bounced and counter == 'sent' then counter = 'undelivered' end
  return check_ledger(day, counter) or not record.day and begun and check_ledger(day, begun) or nil
end

-- Ends an item: the first end counts, and later ones change nothing. `field` is outcome for a message
-- that came in, delivery for a reply; `value` says how it ended. It counts on the day on which it was
-- accepted or pushed, also if it ends on another day.
local function end_item(id, field, value, keeps_body, ttl)
  local key, record = item_key(id), read_record(id)
  if record[field] then return end
  local day = record.day or today()
  if record.bounced and value == 'sent' then value = 'undelivered' end
  -- A process of an older version pushed this reply and did not count it.
  if field == 'delivery' and not record.day then count_in_ledger(day, 'replies') end
  count_in_ledger(day, value)
  if keeps_body then
    redis.call('HSET', key, 'day', day, field, value)
  else
    keep_rest[field](key, day, value)
  end
  redis.call('EXPIRE', key, ttl)
  record.day, record[field] = day, value
end

-- What a platform says later of a chunk that it took. A later word of no higher rank changes nothing:
-- reports come in any order, and more than once.
local REPORT_RANKS = { delivered = 1, failed = 2, read = 3 }

local function rank_report(report)
  return REPORT_RANKS[string.match(report or '', '^%a+')] or 0
end

-- Whether a report on an item can be noted: nil, or the reason why not.
local function check_report(id)
  local record, reason = read_record(id)
  if reason then return reason end
  local day = record.day or today()
  return check_ledger(day, 'sent') or check_ledger(day, 'undelivered')
end

-- Notes a report, 'state reason'. A reply of which a chunk failed late was not delivered: if it counts
-- as sent already, one count moves, so the day's replies are still sent + undelivered + waiting.
-- Returns true if that is news.
local function note_report(id, chunk, report)
  local key, field, record = item_key(id), 'report:' .. chunk, read_record(id)
  if rank_report(report) <= rank_report(redis.call('HGET', key, field)) then return false end
  if string.match(report, '^%a+') ~= 'failed' or record.bounced then
    redis.call('HSET', key, field, report)
    return false
  end
  if record.delivery == 'sent' then
    local day = record.day or today()
    redis.call('HINCRBY', ledger_key(day), 'sent', -1)
    count_in_ledger(day, 'undelivered')
    redis.call('HSET', key, 'delivery', 'undelivered')
    record.delivery = 'undelivered'
  end
  redis.call('HSET', key, 'bounced', '1', field, report)
  record.bounced = '1'
  return true
end
