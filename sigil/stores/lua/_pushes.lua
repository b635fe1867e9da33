-- How an item comes into a lane.

-- A chat that was told that a lane is full is not told again for so long (ms), unless the lane was
-- empty meanwhile. Of several chats the last one that was told is known.
local NOTICED_FOR = 5 * 60000

-- An item is pushed to each kind of lane once, ever. Its record remembers that as long as it lives,
-- also after the item is finished. This is what makes pushes idempotent: a message that a platform
-- delivers twice, and a commit that is repeated. The question is asked once for each id and kind of
-- lane, and `push_item` notes its answer anew.
local pushed = {}

local function was_pushed(id, lane)
  local name = kind_of(lane) .. ' ' .. id
  if pushed[name] == nil then
    local found, reason = try_read('HEXISTS', item_key(id), 'lane:' .. kind_of(lane))
    if reason then return false, reason end
    pushed[name] = found == 1
  end
  return pushed[name]
end

-- Until when a lane rests after a push at NOW, so that messages sent in quick succession are
-- answered together: for `quiet` ms, but at most until `quiet_max` ms after the first of them, which
-- was pushed at `from`. A push never shortens the rest, which lasts until `before` so far.
local function extend_quiet(quiet, quiet_max, from, before)
  return math.max(before, math.min(NOW + quiet, from + quiet_max))
end

local function append_item(lane, id, quiet, quiet_max, wakes)
  local key = lane_key(lane)
  local waiting = redis.call('RPUSH', ids_key(lane), id)
  -- Only an empty lane was about to be forgotten.
  if waiting == 1 then redis.call('PERSIST', key) end
  local state = redis.call('HMGET', key, 'held', 'noticed', 'quiet_from', 'quiet_until',
    'parked_until', 'put_off', 'parked_at')
  if state[2] and waiting == 1 then redis.call('HDEL', key, 'noticed') end
  local quiet_until = read_due(state[4], state[3])
  if quiet > 0 then
    local from = quiet_until > 0 and tonumber(state[3]) or NOW
    quiet_until = extend_quiet(quiet, quiet_max, from, quiet_until)
    redis.call('HSET', key, 'quiet_from', format_int(from), 'quiet_until', format_int(quiet_until))
  end
  -- A holder's commit wakes the lane if there is more. An item behind others has had its wake-up.
  if state[1] == '1' or (waiting > 1 and quiet <= 0) then return end
  local rests_until = math.max(quiet_until, read_due(state[5], state[7]))
  if schedule_work(lane, rests_until, state[6]) then add_wake(wakes, lane) end
end

-- `args` as in `effects.push`. `adding` counts what the earlier effects of this commit push to each
-- lane, for the cap.
local function check_push(args, adding)
  local lane, id, cap = args[1], args[2], tonumber(args[3])
  if #args % 2 == 1 then return 'rejected a push wants pairs of field and value' end
  local is_known, reason = was_pushed(id, lane)
  if is_known or reason then return reason end
  local waiting, noticed
  waiting, reason = try_read('LLEN', ids_key(lane))
  if reason then return reason end
  noticed, reason = try_read('HGET', lane_key(lane), 'noticed')
  if not reason and kind_of(lane) == 'delivery' then reason = check_ledger(today(), 'replies') end
  if reason then return reason end
  adding[lane] = (adding[lane] or 0) + 1
  if cap > 0 and waiting + adding[lane] > cap then
    local at, chat = string.match(noticed or '', '^(%d+) (%S+)$')
    local ago = NOW - (tonumber(at) or 0)
    -- A time to come is that of a clock that has stepped back since.
    return 'full ' .. (ago >= 0 and ago < NOTICED_FOR and chat or '-') .. ' ' .. lane
  end
end

-- The id first: if anything failed after that, the item would be in its lane.
local function push_item(args, wakes)
  local lane, id = args[1], args[2]
  if was_pushed(id, lane) then return end
  local kind = kind_of(lane)
  append_item(lane, id, tonumber(args[4]), tonumber(args[5]), wakes)
  -- A reply is counted when it is pushed and when it ends, both on the day of its push.
  if kind == 'delivery' then
    args[#args + 1], args[#args + 2] = 'day', today()
    note_day(id)
    count_in_ledger(today(), 'replies')
  end
  if args[6] ~= '' then
    args[#args + 1], args[#args + 2] = 'epoch', try_read('HGET', args[6], 'epoch') or '0'
  end
  redis.call('HSET', item_key(id), 'lane:' .. kind, lane, unpack(args, 7))
  redis.call('PERSIST', item_key(id))
  pushed[kind .. ' ' .. id] = true
end
