-- The records of items, item:<id>, and the ledger that counts them.
--
-- A record is a hash:
--   lane:<kind>          the lane of that kind that the item was pushed to
--   day                  when it was accepted, or pushed if it is a reply: the day it counts on
--   body, route          its content, until it ends
--   extras               what a reply carries beside its text, until it ends
--   chunk:<n>, turn      the receipts of a reply, and the turn that made it
--   outcome, delivery    how a message and how a reply has ended
--   dead_stage, dead_reason

-- The first count of each counter sets the time to live, so a ledger outlives its day by LEDGER_TTL.
local function count_in_ledger(day, counter)
  if redis.call('HINCRBY', ledger_key(day), counter, 1) == 1 then
    redis.call('EXPIRE', ledger_key(day), LEDGER_TTL)
  end
end

-- A message counts on the day on which it was accepted, also if it ends on another day.
local function day_of_item(id) return redis.call('HGET', item_key(id), 'day') or today() end

-- A reply is counted when it is pushed and when it ends, both on the day of its push.
local function count_reply(id)
  redis.call('HSET', item_key(id), 'day', today())
  count_in_ledger(today(), 'replies')
end

-- A hash that has held a long value takes several times the memory that its fields need, also after
-- the value is gone (Redis keeps it as a table). So a record that ends is written anew.
local function rewrite_record(key, fields)
  redis.call('DEL', key)
  redis.call('HSET', key, unpack(fields))
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
  redis.call('HDEL', key, 'body', 'extras')
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

-- Ends an item: the first end counts, and later ones change nothing. `field` is outcome for a message
-- that came in, delivery for a reply; `value` says how it ended.
local function end_item(id, field, value, keeps_body, ttl)
  local key = item_key(id)
  local known = redis.call('HMGET', key, field, 'day')
  if known[1] then return end
  local day = known[2] or today()
  -- A process of an older version pushed this reply and did not count it.
  if field == 'delivery' and not known[2] then count_in_ledger(day, 'replies') end
  if keeps_body then
    redis.call('HSET', key, 'day', day, field, value)
  else
    keep_rest[field](key, day, value)
  end
  redis.call('EXPIRE', key, ttl)
  count_in_ledger(day, value)
end
