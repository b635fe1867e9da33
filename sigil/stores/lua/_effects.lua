-- The closed set of effects. All are checked before the first is applied, since an error in
-- the middle of a script does not undo what it did. An effect stands in ARGV as its name, the
-- number of its arguments, and these. `check` returns nil or a reason; `apply` may add wakes.

local function need_type(key, want)
  local have = redis.call('TYPE', key)['ok']
  if have ~= 'none' and have ~= want then return 'rejected ' .. key .. ' is a ' .. have end
end

local function need_ints(args, first, step)
  for i = first, #args, step do
    -- Far below the bound of 64 bits, where an addition would fail after others were written.
    if #args[i] > 15 or not string.match(args[i], '^%-?%d+$') then
      return 'rejected not an integer: ' .. string.sub(args[i], 1, 40)
    end
  end
end

local function count(day, counter)
  redis.call('HINCRBY', ledger_key(day), counter, 1)
  redis.call('EXPIRE', ledger_key(day), LEDGER_TTL)
end

local function day_of(id) return redis.call('HGET', item_key(id), 'day') or today() end

-- What the effects on an item's record and on the ledger need.
local function need_item(id)
  return need_type(item_key(id), 'hash') or need_type(ledger_key(day_of(id)), 'hash')
end

local function was_pushed(id, lane)
  return redis.call('HEXISTS', item_key(id), 'lane:' .. stage_of(lane)) == 1
end

local function quieten(key, quiet, quiet_max)
  if quiet <= 0 then return end
  local from = num(key, 'quiet_from')
  if from == 0 then
    from = NOW
    redis.call('HSET', key, 'quiet_from', int(from))
  end
  local rest = math.min(NOW + quiet, from + quiet_max)
  if rest > num(key, 'quiet_until') then redis.call('HSET', key, 'quiet_until', int(rest)) end
end

local function append(lane, id, quiet, quiet_max, wakes)
  local key = lane_key(lane)
  local waiting = redis.call('RPUSH', ids_key(lane), id)
  redis.call('PERSIST', key)
  redis.call('HDEL', key, 'noticed')
  quieten(key, quiet, quiet_max)
  if redis.call('HGET', key, 'held') == '1' then return end
  if (waiting == 1 or quiet > 0) and schedule(lane) then wake(wakes, lane) end
end

local function finish(id, field, value, counter, keep, ttl)
  local key = item_key(id)
  if redis.call('HEXISTS', key, field) == 1 then return end
  local day = day_of(id)
  redis.call('HSET', key, field, value, 'day', day)
  if keep ~= '1' then redis.call('HDEL', key, 'body', 'route', 'sender') end
  redis.call('EXPIRE', key, ttl)
  count(day, counter)
end

local function append_list(key, args, first, keep, ttl)
  for i = first, #args do redis.call('RPUSH', key, args[i]) end
  redis.call('LTRIM', key, -tonumber(keep), -1)
  redis.call('EXPIRE', key, ttl)
end

local effects = {}

-- lane, id, cap, quiet ms, longest quiet ms, then field, value, …
effects.push = {
  check = function(args, adding)
    local lane, id, cap = args[1], args[2], tonumber(args[3])
    if #args % 2 == 0 then return 'rejected a push wants pairs of field and value' end
    local wrong = need_type(ids_key(lane), 'list') or need_type(lane_key(lane), 'hash')
      or need_type(item_key(id), 'hash')
    if wrong then return wrong end
    if was_pushed(id, lane) then return end
    adding[lane] = (adding[lane] or 0) + 1
    if cap > 0 and redis.call('LLEN', ids_key(lane)) + adding[lane] > cap then
      return 'full ' .. (redis.call('HGET', lane_key(lane), 'noticed') or '0') .. ' ' .. lane
    end
  end,
  apply = function(args, wakes)
    local lane, id = args[1], args[2]
    if was_pushed(id, lane) then return end
    redis.call('HSET', item_key(id), 'lane:' .. stage_of(lane), lane)
    redis.call('PERSIST', item_key(id))
    for i = 6, #args, 2 do redis.call('HSET', item_key(id), args[i], args[i + 1]) end
    append(lane, id, tonumber(args[4]), tonumber(args[5]), wakes)
  end,
}

-- id
effects.accept = {
  check = function(args) return need_item(args[1]) end,
  apply = function(args)
    redis.call('HSET', item_key(args[1]), 'day', today())
    count(today(), 'accepted')
  end,
}

-- id, outcome, keep the body, ttl s
effects.finish = {
  check = function(args) return need_item(args[1]) end,
  apply = function(args) finish(args[1], 'outcome', args[2], args[2], args[3], args[4]) end,
}

-- id, sent or undelivered, keep the body, ttl s
effects.delivered = {
  check = function(args) return need_item(args[1]) end,
  apply = function(args) finish(args[1], 'delivery', args[2], args[2], args[3], args[4]) end,
}

-- id, stage, reason, ttl s, most kept
effects.dead_letter = {
  check = function(args)
    return need_type(P .. 'dead', 'zset') or need_type(item_key(args[1]), 'hash')
  end,
  apply = function(args)
    redis.call('HSET', item_key(args[1]), 'dead_stage', args[2], 'dead_reason', args[3])
    redis.call('ZADD', P .. 'dead', int(NOW), args[1])
    redis.call('ZREMRANGEBYSCORE', P .. 'dead', '-inf', int(NOW - 1000 * tonumber(args[4])))
    redis.call('ZREMRANGEBYRANK', P .. 'dead', 0, -1 - tonumber(args[5]))
  end,
}

-- lane
effects.notice = {
  check = function(args) return need_type(lane_key(args[1]), 'hash') end,
  apply = function(args) redis.call('HSET', lane_key(args[1]), 'noticed', '1') end,
}

-- lane: all that is in it now is to be stopped
effects.stop = {
  check = function(args)
    return need_type(ids_key(args[1]), 'list') or need_type(lane_key(args[1]), 'hash')
  end,
  apply = function(args, wakes)
    local waiting = redis.call('LLEN', ids_key(args[1]))
    if waiting == 0 then return end
    local key = lane_key(args[1])
    redis.call('HSET', key, 'stop', waiting)
    redis.call('PUBLISH', P .. 'stops', args[1])
    if redis.call('HGET', key, 'held') == '1' then return end
    redis.call('HDEL', key, 'parked_until', 'quiet_until', 'quiet_from')
    if schedule(args[1]) then wake(wakes, args[1]) end
  end,
}

-- lane, entry
effects.journal = {
  check = function(args) return need_type(journal_key(args[1]), 'list') end,
  apply = function(args) redis.call('RPUSH', journal_key(args[1]), args[2]) end,
}

-- id, chunk, state
effects.receipt = {
  check = function(args) return need_type(item_key(args[1]), 'hash') end,
  apply = function(args)
    redis.call('HSET', item_key(args[1]), 'chunk:' .. args[2], args[3])
  end,
}

-- list key, most kept, ttl s, entry, …
effects.append = {
  check = function(args) return need_type(args[1], 'list') or need_ints(args, 2, #args) end,
  apply = function(args) append_list(args[1], args, 4, args[2], args[3]) end,
}

-- hash key, ttl s, field, value, …
effects.set = {
  check = function(args) return need_type(args[1], 'hash') end,
  apply = function(args)
    for i = 3, #args, 2 do redis.call('HSET', args[1], args[i], args[i + 1]) end
    redis.call('EXPIRE', args[1], args[2])
  end,
}

-- hash key, ttl s, field, amount, …
effects.count = {
  check = function(args) return need_type(args[1], 'hash') or need_ints(args, 4, 2) end,
  apply = function(args)
    for i = 3, #args, 2 do redis.call('HINCRBY', args[1], args[i], args[i + 1]) end
    redis.call('EXPIRE', args[1], args[2])
  end,
}

-- stream key, key of the ids seen, event id, entry, most kept, ttl s
local function show(args)
  redis.call('ZADD', args[2], int(NOW), args[3])
  redis.call('ZREMRANGEBYRANK', args[2], 0, -1 - 2 * tonumber(args[5]))
  redis.call('XADD', args[1], 'MAXLEN', '~', args[5], '*', 'data', args[4])
  redis.call('EXPIRE', args[1], args[6])
  redis.call('EXPIRE', args[2], args[6])
end

effects.show = {
  check = function(args) return need_type(args[1], 'stream') or need_type(args[2], 'zset') end,
  apply = function(args)
    if redis.call('ZSCORE', args[2], args[3]) then return end
    show(args)
  end,
}

local function read_effects(first)
  local found, i = {}, first
  while i <= #ARGV do
    local args = {}
    for k = 1, tonumber(ARGV[i + 1]) do args[k] = ARGV[i + 1 + k] end
    found[#found + 1] = { name = ARGV[i], args = args }
    i = i + 2 + #args
  end
  return found
end

local function check_effects(found)
  local adding = {}
  for _, effect in ipairs(found) do
    local known = effects[effect.name]
    if not known then return 'rejected unknown effect ' .. effect.name end
    local reason = known.check(effect.args, adding)
    if reason then return reason end
  end
end

local function apply_effects(found, wakes)
  for _, effect in ipairs(found) do effects[effect.name].apply(effect.args, wakes) end
end
