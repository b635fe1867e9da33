-- What the scripts of dollar budgets share. Amounts are whole micro-dollars.
--
--   <scope>:hour:2026-11-22T23, <scope>:day:2026-11-22
--                            hashes, one per budget window: spent, reserved
--   budget-hold:<id>         a hash: the amount of a hold, how long it may be open (ttl, in ms), and
--                            while it is open the windows that it was made in
--   budget-holds             open holds, by the time at which each expires
--   budget-subjects:<scope>:<day>   who reserved anything on that day, by the time of the last hold
--
-- The time is part of a window's key. So nothing has to be reset: the next hour has another key,
-- and a hold that is settled late still finds the windows that it was made in. The server's clock
-- (UTC) decides which window is the current one.

local HOLDS = P .. 'budget-holds'
local WINDOW_KEPT_MS = 2 * 86400000
-- How long a settled hold is remembered, for a client whose answer was lost and who asks again.
local ANSWER_TTL = 3600
local MOST_SUBJECTS = 10000

local function current_window(name, stamp, length)
  local ends = (math.floor(NOW / length) + 1) * length
  return {
    name = name,
    suffix = ':' .. name .. ':' .. stamp,
    resets = format_int(ends - NOW),
    ttl = format_int(math.ceil((ends - NOW + WINDOW_KEPT_MS) / 1000)),
  }
end

local HOUR_STAMP = string.format('%sT%02d', today(), math.floor(NOW / 3600000) % 24)
local HOUR = current_window('hour', HOUR_STAMP, 3600000)
local DAY = current_window('day', today(), 86400000)
local WINDOWS = { HOUR, DAY }

local function subjects_key(index) return index .. ':' .. today() end

-- What a window has spent and reserved, or nil if it holds no numbers (any more).
local function read_window(key)
  local state = try_read('HMGET', key, 'spent', 'reserved') or { '-', '-' }
  local spent, reserved = state[1] or '0', state[2] or '0'
  if not is_whole(spent) or not is_whole(reserved) then return nil end
  return tonumber(spent), tonumber(reserved), state[2] ~= false
end

-- Replaces a hold by what was spent, in the windows that it was made in. Returns false if it is not
-- open (any more). Without its windows the hold stays as the memory of its amount.
--
-- A hold that was never made is remembered as settled, with nothing in it. Its reservation may still
-- be on its way: whoever gave it up after a cut connection undoes it, and the two may arrive in
-- either order.
local function settle_hold(hold, spent)
  local state = redis.call('HMGET', hold, 'amount', 'windows')
  local amount, windows = tonumber(state[1] or '0') or 0, state[2]
  redis.call('ZREM', HOLDS, hold)
  if not windows then
    if not state[1] then
      redis.call('HSET', hold, 'amount', '0')
      redis.call('EXPIRE', hold, ANSWER_TTL)
    end
    return false
  end
  for window in string.gmatch(windows, '%S+') do
    local before, reserved, exists = read_window(window)
    -- A window that has expired is long over. Writing to it would make a key without a TTL. One that
    -- holds no numbers cannot be settled, and must not keep the other windows from it.
    if before and exists then
      redis.call('HSET', window, 'reserved', format_int(reserved - amount), 'spent',
        format_int(before + tonumber(spent)))
    end
  end
  redis.call('HDEL', hold, 'windows')
  redis.call('EXPIRE', hold, ANSWER_TTL)
  return true
end

-- Settles holds whose time is over at their full amount, and returns how many. Whoever made them
-- has died, and the vendor may have been called. `spent` rises by what `reserved` falls, so the
-- room for other holds stays the same.
local function expire_holds(most)
  local count = 0
  local over = redis.call('ZRANGEBYSCORE', HOLDS, '-inf', format_int(NOW), 'LIMIT', 0, most)
  for _, hold in ipairs(over) do
    local amount, reason = try_read('HGET', hold, 'amount')
    if reason or not is_whole(amount or '0') then
      redis.call('ZREM', HOLDS, hold) -- it cannot be settled, and must not hold up the others
    elseif settle_hold(hold, amount or '0') then
      count = count + 1
    end
  end
  return count
end

-- A clock that stepped back leaves holds that end as much too late. None lasts for longer than its own
-- length from now. Those that end last come first.
local function shorten_holds(most)
  local last = redis.call('ZREVRANGEBYSCORE', HOLDS, '+inf', '(' .. format_int(NOW), 'WITHSCORES',
    'LIMIT', 0, most)
  for i = 1, #last, 2 do
    local length = tonumber(try_read('HGET', last[i], 'ttl') or '')
    if length and tonumber(last[i + 1]) > NOW + length then
      write_first('ZADD', HOLDS, format_int(NOW + length), last[i])
    end
  end
end
