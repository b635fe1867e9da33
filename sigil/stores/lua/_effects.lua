-- The closed set of effects: all that a commit or a push can write besides moving its lane.
--
-- An effect stands in ARGV as its name, the number of its arguments, and the arguments. It is
-- written so by redis/effects.py. Each effect has two functions:
--   check(args, adding)  returns nil if the effect can be applied, or else the reason: 'rejected …',
--                        'full …', 'stale' or 'taken'. It must foresee every error of `apply`, such as
--                        a key of another type or an amount that is not a number. An error after
--                        the first write would leave the commit half done.
--   apply(args, wakes)   writes, and adds the lanes that have work now to `wakes`.
-- All effects are checked before the first one is applied.

-- Checks every `step`th argument from `first` to `last`.
local function check_ints(args, first, step, last)
  for i = first, last, step do
    if not is_whole(args[i]) then return 'rejected not an integer: ' .. string.sub(args[i], 1, 40) end
  end
end

-- The lanes whose heads wait for a model, by the time when they are tried again. One whose time has
-- passed counts no more.
local WAITING, WAITING_TTL = P .. 'lanes:waiting', 2 * 86400

local effects = {}

-- lane, id, cap, quiet ms, longest quiet ms, session key or '', then field, value, …
effects.push = { check = check_push, apply = push_item }

-- id
effects.accept = {
  check = function(args)
    local _, reason = read_record(args[1])
    return reason or check_ledger(today(), 'accepted')
  end,
  apply = function(args)
    redis.call('HSET', item_key(args[1]), 'day', today())
    note_day(args[1])
    count_in_ledger(today(), 'accepted')
  end,
}

-- user, set of user ids, identity, pairing, set of the user's pairings (all keys), user id, user as
-- JSON ('' if no record is wanted), the identity's key as a JSON list
effects.admit = {
  check = function(args) return check_admission(unpack(args)) end,
  apply = function(args) admit_user(unpack(args)) end,
}

-- id, lane, then field, value, …
effects.amend = {
  check = function(args)
    local _, reason = read_record(args[1])
    if reason then return reason end
    local held, wrong = try_read('HGET', lane_key(args[2]), 'held')
    if wrong then return wrong end
    -- Whoever holds the lane has read the item already.
    local lease = read_fields(lane_key(args[2]), 'lease_until', 'leased_at')
    local is_held = held == '1' and read_due(lease.lease_until, lease.leased_at) > NOW
    if is_held or not redis.call('HGET', item_key(args[1]), 'body') then return 'stale' end
  end,
  apply = function(args)
    if not redis.call('HGET', item_key(args[1]), 'body') then return end -- it ends in this commit
    redis.call('HDEL', item_key(args[1]), 'extras')
    redis.call('HSET', item_key(args[1]), unpack(args, 3))
  end,
}

-- id, outcome, keep the body, ttl s
effects.finish = {
  check = function(args) return check_end(args[1], args[2]) end,
  apply = function(args) end_item(args[1], 'outcome', args[2], args[3] == '1', args[4]) end,
}

-- id, sent or undelivered, keep the body, ttl s
effects.delivered = {
  check = function(args) return check_end(args[1], args[2], 'replies') end,
  apply = function(args) end_item(args[1], 'delivery', args[2], args[3] == '1', args[4]) end,
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

-- lane, chat
effects.notice = {
  check = function(args) return check_type(lane_key(args[1]), 'hash') end,
  apply = function(args)
    redis.call('HSET', lane_key(args[1]), 'noticed', format_int(NOW) .. ' ' .. args[2])
  end,
}

-- How many ids at the head of a lane this commit is about to remove, and lanes that it stops: lane ->
-- how many of its items.
local handled, stopped = {}, {}

-- lane, then perhaps: as many items as must be in it, the token of its holder ('0' if it has none)
-- A stop is a count: as many items as are in the lane now are to be stopped. Commits count it down,
-- so it never stops what is written afterwards. A holder learns of it by the message at once, or
-- else with its next renewal; a lane that rests is woken.
effects.stop = {
  check = function(args)
    local reason = check_type(ids_key(args[1]), 'list') or check_type(lane_key(args[1]), 'hash')
      or check_type(WAITING, 'zset')
    if reason or not args[2] then return reason end
    local state = redis.call('HMGET', lane_key(args[1]), 'held', 'token')
    local holder = state[1] == '1' and state[2] or '0'
    local waiting = redis.call('LLEN', ids_key(args[1]))
    if waiting ~= tonumber(args[2]) or holder ~= args[3] then return 'stale' end
  end,
  apply = function(args, wakes)
    local waiting = redis.call('LLEN', ids_key(args[1])) - (handled[args[1]] or 0)
    if waiting == 0 then return end
    local key = lane_key(args[1])
    redis.call('HSET', key, 'stop', waiting)
    stopped[args[1]] = waiting
    redis.call('PUBLISH', P .. 'stops', args[1])
    if redis.call('HGET', key, 'held') == '1' then return end
    redis.call('HDEL', key, 'parked_until', 'quiet_until', 'quiet_from')
    redis.call('ZREM', WAITING, args[1])
    if schedule(args[1]) then add_wake(wakes, args[1]) end
  end,
}

local function check_wait(args)
  return check_type(ids_key(args[1]), 'list') or check_type(lane_key(args[1]), 'hash')
    or check_type(WAITING, 'zset')
end

-- lane, rest ms
-- The head waits for a model, and the commit that says so gives the lane back. If a stop or an end of
-- the wait came while the lane was in hand, it does not rest.
effects.wait = {
  check = function(args) return check_ints(args, 2, 1, 2) or check_wait(args) end,
  apply = function(args)
    local lane, key = args[1], lane_key(args[1])
    local done = handled[lane] or 0
    local head = redis.call('LINDEX', ids_key(lane), done)
    if not head then return end
    local state = redis.call('HMGET', key, 'waits', 'stop', 'token', 'wait_ended')
    local of, times = string.match(state[1] or '', '^(%S+) (%d+) ')
    times = of == head and tonumber(times) + 1 or 1
    local rest = tonumber(args[2])
    if (stopped[lane] or read_int(state[2]) - done) > 0 or state[4] and state[4] == state[3] then rest = 0 end
    local rests_until = format_int(NOW + rest)
    redis.call('HSET', key, 'waits', head .. ' ' .. times .. ' ' .. rests_until, 'begun', '',
      'parked_until', rests_until, 'parked_at', format_int(NOW))
    redis.call('ZREMRANGEBYSCORE', WAITING, '-inf', format_int(NOW))
    redis.call('ZADD', WAITING, rests_until, lane)
    redis.call('EXPIRE', WAITING, WAITING_TTL)
  end,
}

-- lane
-- Other rests stay: a lane waits for a model only while it rests until what its `waits` says.
effects.end_wait = {
  check = check_wait,
  apply = function(args, wakes)
    local lane, key = args[1], lane_key(args[1])
    local state = redis.call('HMGET', key, 'held', 'token', 'waits', 'parked_until')
    if state[1] == '1' then
      redis.call('HSET', key, 'wait_ended', state[2])
      return
    end
    if not state[4] or string.match(state[3] or '', '(%d+)$') ~= state[4] then return end
    redis.call('HDEL', key, 'parked_until')
    redis.call('ZREM', WAITING, lane)
    if schedule(lane) then add_wake(wakes, lane) end
  end,
}

-- lane, lane of the same kind
-- Each record names the lane that its item lies in. What the first lane says of its head goes with it.
effects.move = {
  check = function(args)
    if kind_of(args[1]) ~= kind_of(args[2]) or args[1] == args[2] then
      return 'rejected a move to another kind of lane'
    end
    for i = 1, 2 do
      local reason = check_type(ids_key(args[i]), 'list') or check_type(lane_key(args[i]), 'hash')
      if reason then return reason end
    end
    for _, id in ipairs(redis.call('LRANGE', ids_key(args[1]), 0, -1)) do
      local reason = check_type(item_key(id), 'hash')
      if reason then return reason end
    end
  end,
  apply = function(args, wakes)
    local lane, target = args[1], args[2]
    local ids = redis.call('LRANGE', ids_key(lane), 0, -1)
    for _, id in ipairs(ids) do
      append_item(target, id, 0, 0, wakes)
      redis.call('HSET', item_key(id), 'lane:' .. kind_of(target), target)
    end
    redis.call('DEL', ids_key(lane))
    redis.call('HSET', lane_key(lane), 'begun', '', 'strikes', '0')
    redis.call('HDEL', lane_key(lane), 'lost', 'alone')
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

-- key, id, chunk, ttl s
effects.report_key = {
  check = function(args)
    local early, reason = try_read('GET', args[1])
    if reason or not early then return reason end
    return check_report(args[2])
  end,
  apply = function(args)
    local early = redis.call('GET', args[1])
    redis.call('SET', args[1], 'chunk ' .. args[3] .. ' ' .. args[2], 'EX', args[4])
    local report = string.match(early or '', '^report (.*)$')
    if report then note_report(args[2], args[3], report) end
  end,
}

-- list key, most kept, ttl s, entry, …
effects.append = {
  check = function(args) return check_type(args[1], 'list') or check_ints(args, 2, 1, 2) end,
  apply = function(args)
    append_capped(args[1], args, 4, tonumber(args[2]), tonumber(args[3]))
  end,
}

-- Counters are read once, by the first check, and written once by each effect that adds to them.
-- Here is what they stand at: key -> counter -> number.
local counted = {}

-- `args` from `first` to `last` are counter, amount, …
local function check_counters(key, args, first, last)
  local reason = check_ints(args, first + 1, 2, last)
  if reason then return reason end
  local names = {}
  for i = first, last, 2 do names[#names + 1] = args[i] end
  local values = redis.pcall('HMGET', key, unpack(names))
  if values.err then return 'rejected ' .. key .. ' is not a hash' end
  local known = counted[key] or {}
  counted[key] = known
  for i, name in ipairs(names) do known[name] = known[name] or tonumber(values[i]) or 0 end
end

-- Adds the amounts; returns counter, new value, … for one HSET.
local function add_amounts(key, args, first, last)
  local known, changes = counted[key], {}
  for i = first, last, 2 do
    local name = args[i]
    known[name] = known[name] + tonumber(args[i + 1])
    changes[#changes + 1] = name
    changes[#changes + 1] = format_int(known[name])
  end
  return changes
end

-- session key, history key, version, ttl s, most messages kept, position of the first field,
-- position of the first message, then counter, amount, …, then field, value, …, then the messages.
-- The version is one of the counters, and each write raises it. Whoever decided by an older one has
-- to read the session again.
effects.session = {
  check = function(args)
    local reason = check_counters(args[1], args, 8, tonumber(args[6]) - 1)
    if reason then return reason end
    if counted[args[1]].version ~= tonumber(args[3]) then return 'stale' end
    return check_type(args[2], 'list')
  end,
  apply = function(args)
    local first_field, first_message = tonumber(args[6]), tonumber(args[7])
    local changes = add_amounts(args[1], args, 8, first_field - 1)
    for i = first_field, first_message - 1 do changes[#changes + 1] = args[i] end
    redis.call('HSET', args[1], unpack(changes))
    extend_ttl(args[1], tonumber(args[4]))
    if first_message <= #args then
      append_capped(args[2], args, first_message, tonumber(args[5]), tonumber(args[4]))
    end
  end,
}

-- hash key without the day at its end, ttl s, counter, amount, …
-- The hash is of one day, so its TTL begins with a counter's first count and is not renewed.
effects.count = {
  check = function(args) return check_counters(args[1] .. today(), args, 3, #args) end,
  apply = function(args)
    local key = args[1] .. today()
    local added = redis.call('HSET', key, unpack(add_amounts(key, args, 3, #args)))
    if added > 0 then redis.call('EXPIRE', key, args[2]) end
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

-- What ends an item takes its content away. So it comes last: an error that nobody foresaw would leave
-- the item as it was, or else all that was made of it.
local ENDS = { finish = true, delivered = true, dead_letter = true }

local function apply_effects(list, wakes)
  for _, effect in ipairs(list) do
    if not ENDS[effect.name] then effects[effect.name].apply(effect.args, wakes) end
  end
  for _, effect in ipairs(list) do
    if ENDS[effect.name] then effects[effect.name].apply(effect.args, wakes) end
  end
end
