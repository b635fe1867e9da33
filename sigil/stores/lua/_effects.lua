-- The closed set of effects: all that a commit or a push can write besides moving its lane.
--
-- An effect stands in ARGV as its name, the number of its arguments, and the arguments. It is
-- written so by redis/effects.py. Each effect has two functions:
--   check(args, adding)  returns nil if the effect can be applied, or else the reason: 'rejected …',
--                        'full …' or 'taken'. It must foresee every error of `apply`, such as a key of
--                        another type or an amount that is not a number. An error after the first
--                        write would leave the commit half done.
--   apply(args, wakes)   writes, and adds the lanes that have work now to `wakes`.
-- All effects are checked before the first one is applied.

-- Checks every `step`th argument from `first` on. Fifteen digits stay far below 2^63, the largest
-- number that Redis can hold: adding to a counter cannot overflow it, which would be an error.
local function check_ints(args, first, step)
  for i = first, #args, step do
    if #args[i] > 15 or not string.match(args[i], '^%-?%d+$') then
      return 'rejected not an integer: ' .. string.sub(args[i], 1, 40)
    end
  end
end

local function count_in_ledger(day, counter)
  redis.call('HINCRBY', ledger_key(day), counter, 1)
  redis.call('EXPIRE', ledger_key(day), LEDGER_TTL)
end

-- A message counts on the day on which it was accepted, also if it ends on another day.
local function day_of_item(id) return redis.call('HGET', item_key(id), 'day') or today() end

local function check_item_and_ledger(id)
  local day, reason = try_read('HGET', item_key(id), 'day')
  return reason or check_type(ledger_key(day or today()), 'hash')
end

-- Ends an item: the first end counts, and later ones change nothing. Without its content the record
-- stays for `ttl` seconds as the proof that the item was handled.
local function finish_item(id, field, value, keeps_body, ttl)
  local key = item_key(id)
  if redis.call('HEXISTS', key, field) == 1 then return end
  local day = day_of_item(id)
  redis.call('HSET', key, field, value, 'day', day)
  if keeps_body ~= '1' then redis.call('HDEL', key, 'body', 'route', 'sender') end
  redis.call('EXPIRE', key, ttl)
  count_in_ledger(day, value)
end

local effects = {}

-- lane, id, cap, quiet ms, longest quiet ms, then field, value, …
effects.push = { check = check_push, apply = push_item }

-- id
effects.accept = {
  check = function(args) return check_item_and_ledger(args[1]) end,
  apply = function(args)
    redis.call('HSET', item_key(args[1]), 'day', today())
    count_in_ledger(today(), 'accepted')
  end,
}

-- user, set of user ids, identity, pairing, set of the user's pairings (all keys), user id, user as
-- JSON ('' if no record is wanted), the identity's key as a JSON list
effects.admit = {
  check = function(args) return check_admission(unpack(args)) end,
  apply = function(args) admit_user(unpack(args)) end,
}

-- id, outcome, keep the body, ttl s
effects.finish = {
  check = function(args) return check_item_and_ledger(args[1]) end,
  apply = function(args) finish_item(args[1], 'outcome', args[2], args[3], args[4]) end,
}

-- id, sent or undelivered, keep the body, ttl s
effects.delivered = {
  check = function(args) return check_item_and_ledger(args[1]) end,
  apply = function(args) finish_item(args[1], 'delivery', args[2], args[3], args[4]) end,
}

-- id, stage, reason, ttl s, most kept
effects.dead_letter = {
  check = function(args)
    return check_type(P .. 'dead', 'zset') or check_type(item_key(args[1]), 'hash')
  end,
  apply = function(args)
    redis.call('HSET', item_key(args[1]), 'dead_stage', args[2], 'dead_reason', args[3])
    redis.call('ZADD', P .. 'dead', format_int(NOW), args[1])
    local oldest = format_int(NOW - 1000 * tonumber(args[4]))
    redis.call('ZREMRANGEBYSCORE', P .. 'dead', '-inf', oldest)
    redis.call('ZREMRANGEBYRANK', P .. 'dead', 0, -1 - tonumber(args[5]))
  end,
}

-- lane
effects.notice = {
  check = function(args) return check_type(lane_key(args[1]), 'hash') end,
  apply = function(args) redis.call('HSET', lane_key(args[1]), 'noticed', '1') end,
}

-- lane
-- A stop is a count: as many items as are in the lane now are to be stopped. Commits count it down,
-- so it never stops what is written afterwards. A holder learns of it by the message at once, or
-- else with its next renewal; a lane that rests is woken.
effects.stop = {
  check = function(args)
    return check_type(ids_key(args[1]), 'list') or check_type(lane_key(args[1]), 'hash')
  end,
  apply = function(args, wakes)
    local waiting = redis.call('LLEN', ids_key(args[1]))
    if waiting == 0 then return end
    local key = lane_key(args[1])
    redis.call('HSET', key, 'stop', waiting)
    redis.call('PUBLISH', P .. 'stops', args[1])
    if redis.call('HGET', key, 'held') == '1' then return end
    redis.call('HDEL', key, 'parked_until', 'quiet_until', 'quiet_from')
    if schedule(args[1]) then add_wake(wakes, args[1]) end
  end,
}

-- lane, entry
effects.journal = {
  check = function(args) return check_type(journal_key(args[1]), 'list') end,
  apply = function(args) redis.call('RPUSH', journal_key(args[1]), args[2]) end,
}

-- id, chunk, state
effects.receipt = {
  check = function(args) return check_type(item_key(args[1]), 'hash') end,
  apply = function(args)
    redis.call('HSET', item_key(args[1]), 'chunk:' .. args[2], args[3])
  end,
}

-- list key, most kept, ttl s, entry, …
effects.append = {
  check = function(args) return check_type(args[1], 'list') or check_ints(args, 2, #args) end,
  apply = function(args)
    for i = 4, #args do redis.call('RPUSH', args[1], args[i]) end
    redis.call('LTRIM', args[1], -tonumber(args[2]), -1)
    redis.call('EXPIRE', args[1], args[3])
  end,
}

-- hash key, ttl s, field, value, …
effects.set = {
  check = function(args) return check_type(args[1], 'hash') end,
  apply = function(args)
    for i = 3, #args, 2 do redis.call('HSET', args[1], args[i], args[i + 1]) end
    redis.call('EXPIRE', args[1], args[2])
  end,
}

-- hash key, ttl s, field, amount, …
effects.count = {
  check = function(args) return check_type(args[1], 'hash') or check_ints(args, 4, 2) end,
  apply = function(args)
    for i = 3, #args, 2 do redis.call('HINCRBY', args[1], args[i], args[i + 1]) end
    redis.call('EXPIRE', args[1], args[2])
  end,
}

-- stream key, key of the ids shown, event id, entry, most kept, ttl s
-- Appends an event to a chat's log. Twice as many ids are remembered as events are kept.
local function append_event(args)
  redis.call('ZADD', args[2], format_int(NOW), args[3])
  redis.call('ZREMRANGEBYRANK', args[2], 0, -1 - 2 * tonumber(args[5]))
  redis.call('XADD', args[1], 'MAXLEN', '~', args[5], '*', 'data', args[4])
  extend_ttl(args[1], args[6])
  extend_ttl(args[2], args[6])
end

effects.show = {
  check = function(args) return check_type(args[1], 'stream') or check_type(args[2], 'zset') end,
  apply = function(args)
    if redis.call('ZSCORE', args[2], args[3]) then return end
    append_event(args)
  end,
}

-- The effects in ARGV from position `first` on.
local function read_effects(first)
  local list, i = {}, first
  while i <= #ARGV do
    local args = {}
    for k = 1, tonumber(ARGV[i + 1]) do args[k] = ARGV[i + 1 + k] end
    list[#list + 1] = { name = ARGV[i], args = args }
    i = i + 2 + #args
  end
  return list
end

local function check_effects(list)
  local adding = {}
  for _, effect in ipairs(list) do
    local definition = effects[effect.name]
    if not definition then return 'rejected unknown effect ' .. effect.name end
    local reason = definition.check(effect.args, adding)
    if reason then return reason end
  end
end

local function apply_effects(list, wakes)
  for _, effect in ipairs(list) do effects[effect.name].apply(effect.args, wakes) end
end
