-- Budgets: whole micro-dollars, per scope, in the hour and the day of Redis TIME (UTC).
-- A window is a hash (spent, reserved), named by its scope's key and its time. A reservation is
-- a hash: the amount, and the windows it was made in for as long as it is held. All that are
-- held are in an index by the time at which they expire.

local HOLDS = P .. 'budget-holds'
local WINDOW_KEPT_MS = 2 * 86400000
local ANSWER_TTL = 3600 -- for a client that asks again, as its answer was lost
local MOST_SUBJECTS = 10000

local function running(name, stamp, length)
  local ends = (math.floor(NOW / length) + 1) * length
  return {
    name = name,
    suffix = ':' .. name .. ':' .. stamp,
    resets = int(ends - NOW),
    ttl = int(math.ceil((ends - NOW + WINDOW_KEPT_MS) / 1000)),
  }
end

local DAY = running('day', today(), 86400000)
local HOUR = running('hour', string.format('%sT%02d', today(), math.floor(NOW / 3600000) % 24), 3600000)
local WINDOWS = { HOUR, DAY }

local function subjects_key(index) return index .. ':' .. today() end

-- Replaces a reservation by what was spent, in the windows it was made in. False if it is not
-- held (any more). A window that is gone is long over, and must not come back without a TTL.
local function settle(hold, spent)
  local found = redis.call('HMGET', hold, 'amount', 'windows')
  redis.call('ZREM', HOLDS, hold)
  if not found[2] then return false end
  for key in string.gmatch(found[2], '%S+') do
    if redis.call('EXISTS', key) == 1 then
      redis.call('HINCRBY', key, 'reserved', '-' .. found[1])
      redis.call('HINCRBY', key, 'spent', spent)
    end
  end
  redis.call('HDEL', hold, 'windows')
  redis.call('EXPIRE', hold, ANSWER_TTL)
  return true
end

-- Whoever made these has died, or has forgotten them: the worst is assumed. Room stays as it is.
local function expire(most)
  local settled = 0
  for _, hold in ipairs(redis.call('ZRANGEBYSCORE', HOLDS, '-inf', int(NOW), 'LIMIT', 0, most)) do
    if settle(hold, redis.call('HGET', hold, 'amount') or '0') then settled = settled + 1 end
  end
  return settled
end
