-- Shared by every script: it is put in front of each. ARGV[1] is always the key prefix.
-- Times are milliseconds of Redis TIME, the only clock that counts. The fencing token is in
-- microseconds; numbers of that size are formatted without exponent.
-- A lane is a hash (held, token, nonce, lease_until, parked_until, quiet_until, quiet_from,
-- put_off, strikes, stop, noticed, commit, answer), a list of ids, a list with the running
-- turn's journal, and an entry in the index of due times.

local P = ARGV[1]
local DUE = P .. 'lanes:due'
local FIRST_PUT_OFF, LAST_PUT_OFF = 1500, 8000
local IDLE_LANE_TTL = 3600
local LEDGER_TTL = 40 * 86400

local time = redis.call('TIME')
local NOW = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local NOW_US = tonumber(time[1]) * 1000000 + tonumber(time[2])

local function int(number) return string.format('%.0f', number) end
local function lane_key(lane) return P .. 'lane:' .. lane end
local function ids_key(lane) return P .. 'lane:' .. lane .. ':ids' end
local function journal_key(lane) return P .. 'lane:' .. lane .. ':journal' end
local function item_key(id) return P .. 'item:' .. id end
local function ledger_key(day) return P .. 'ledger:' .. day end
local function stage_of(lane) return string.match(lane, '^[^:]*') end
local function num(key, field) return tonumber(redis.call('HGET', key, field) or '0') or 0 end

-- Days are those of UTC; the civil date is computed since Lua in Redis has no os.date.
local function today()
  local days = math.floor(NOW / 86400000) + 719468
  local era = math.floor(days / 146097)
  local doe = days - era * 146097
  local yoe = math.floor((doe - math.floor(doe / 1460) + math.floor(doe / 36524) - math.floor(doe / 146096)) / 365)
  local doy = doe - (365 * yoe + math.floor(yoe / 4) - math.floor(yoe / 100))
  local mp = math.floor((5 * doy + 2) / 153)
  local day = doy - math.floor((153 * mp + 2) / 5) + 1
  local month = mp < 10 and mp + 3 or mp - 9
  local year = yoe + era * 400 + (month <= 2 and 1 or 0)
  return string.format('%04d-%02d-%02d', year, month, day)
end

local function held_by(lane, token)
  local state = redis.call('HMGET', lane_key(lane), 'held', 'token')
  return state[1] == '1' and state[2] == token
end

-- Sets when the lane is next to be looked at. True if it should be woken now.
local function schedule(lane)
  local key = lane_key(lane)
  if redis.call('LLEN', ids_key(lane)) == 0 then
    redis.call('ZREM', DUE, lane)
    redis.call('EXPIRE', key, IDLE_LANE_TTL)
    return false
  end
  local rest = math.max(num(key, 'parked_until'), num(key, 'quiet_until'))
  if rest > NOW then
    redis.call('ZADD', DUE, int(rest), lane)
    return false
  end
  redis.call('HDEL', key, 'put_off') -- this time passes before the first sweep puts it off
  redis.call('ZADD', DUE, int(NOW + FIRST_PUT_OFF), lane)
  return true
end

local function wake(wakes, lane)
  for _, known in ipairs(wakes) do
    if known == lane then return end
  end
  wakes[#wakes + 1] = lane
end
