-- What every script shares. The client puts this text in front of each script.
--
-- Why scripts? Redis runs a script from beginning to end before it looks at any other command, so
-- nobody sees or changes anything in between. But an error in the middle of a script does not undo
-- what was written before it. Therefore every script that writes in several places reads and checks
-- everything first, and writes last.
--
-- ARGV[1] is always the key prefix. Times are milliseconds of the server's clock, the only clock
-- that all workers share.
--
-- Lua has one kind of number, a float of 64 bits. It is exact for whole numbers up to 2^53, which
-- is enough for microseconds since 1970 (2^51). But `tostring` writes such numbers with an
-- exponent, so they are formatted by `format_int`.
--
-- A lane is
--   lane:<lane>          a hash: held, token, nonce, nonces, lease_until, leased_at, parked_until,
--                        parked_at, quiet_until, quiet_from, put_off, strikes, stop, noticed,
--                        commit, answer, parked_by,
--                        lost (how many leases ran out since the head last moved),
--                        alone (the token of a lease under which the lane was the only suspect in
--                        its holder's hands),
--                        begun (the id of the head while somebody has it in hand, and after that
--                        unless it was finished or given back untouched),
--                        again ('1' if the holder was told that the head had been begun before),
--                        waits ('head times until': how often that head has waited for a model, and
--                        until when the last time), wait_ended (the token under which the lane was
--                        in hand when the wait was to end)
--   lane:<lane>:ids      a list: the ids of its items, the head first
--   lane:<lane>:journal  a list: what the turn that handles the head has got so far
-- and a member of `lanes:due` while it has items or is held; the score is when to look at it next.

local P = ARGV[1]
local DUE = P .. 'lanes:due'
-- Lanes that have a key of another type, with the reason. They are not in the index.
local QUARANTINE = P .. 'lanes:quarantine'
-- How long the sweep leaves a lane to the wake-up that was sent for it; see sweep.lua.
local FIRST_PUT_OFF, LAST_PUT_OFF = 1500, 8000
-- An empty lane is remembered for longer than a holder repeats its last commit, which is 10 min (see
-- lanes/held.py). A token that was forgotten does not come again, since it is a time.
local IDLE_LANE_TTL = 720
-- By how much the clock may step back unnoticed. Those of a primary and of the replica that takes over
-- differ a little.
local CLOCK_SLACK = 1000
-- From so many lost leases on a lane is suspect; its process may die of its head.
local SUSPECT_FROM = 2
local MISPLACED_TTL = 7 * 86400
local LEDGER_TTL = 40 * 86400
-- Lua's `unpack` fails at about 8,000 values.
local MOST_UNPACKED = 1000

local time = redis.call('TIME')
local NOW = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local NOW_US = tonumber(time[1]) * 1000000 + tonumber(time[2])

local function format_int(number) return string.format('%.0f', number) end
local function lane_key(lane) return P .. 'lane:' .. lane end
local function ids_key(lane) return P .. 'lane:' .. lane .. ':ids' end
local function journal_key(lane) return P .. 'lane:' .. lane .. ':journal' end
local function item_key(id) return P .. 'item:' .. id end
local function ledger_key(day) return P .. 'ledger:' .. day end
-- inbound, session or delivery: the first word of a lane's name.
local function kind_of(lane) return string.match(lane, '^[^:]*') end

local function read_number(key, field)
  return tonumber(redis.call('HGET', key, field) or '0') or 0
end

-- Reads fields of a hash, by their names. A field that is not there is false.
local function read_fields(key, ...)
  local values, fields = redis.call('HMGET', key, ...), {}
  for i, name in ipairs({ ... }) do fields[name] = values[i] end
  return fields
end

local function check_type(key, wanted)
  local type = redis.call('TYPE', key)['ok']
  if type ~= 'none' and type ~= wanted then return 'rejected ' .. key .. ' is a ' .. type end
end

-- Reads what a check must know anyway. A key of another type makes the read fail, so its type need
-- not be asked for besides. Returns the answer, or nil and the reason. Any other error says nothing
-- about the key, as when the user of the store has lost a right, so it ends the script.
local function try_read(command, key, ...)
  local answer = redis.pcall(command, key, ...)
  if type(answer) ~= 'table' or not answer.err then return answer end
  if not string.find(tostring(answer.err), 'WRONGTYPE', 1, true) then return redis.call(command, key, ...) end
  return nil, 'rejected ' .. key .. ' is of another type'
end

-- Reads a time or a count, which somebody may have overwritten with something else.
local function read_int(text) return tonumber(text or '0') or 0 end

-- Whether a time that a script once wrote as NOW lies ahead: the clock has stepped back since.
local function lies_ahead(written_at) return read_int(written_at) > NOW + CLOCK_SLACK end

-- Reads until when a lane rests or is leased; `set_at` says when that was written. After the clock
-- stepped back, it would last for as long as the clock has stepped, so it is over. Answers 0 then.
local function read_due(due, set_at)
  return lies_ahead(set_at) and 0 or read_int(due)
end

-- Whether a text is a whole number that can be added to. Sixteen digits stay far below 2^63, the largest
-- number that Redis can hold: adding to a counter cannot overflow it, which would be an error.
local function is_whole(text) return #text <= 16 and string.match(text, '^%-?%d+$') ~= nil end

-- The first write of a script that finishes what was accepted. When its memory is full, Redis refuses
-- a script's first write if that may need memory, but none that follows a write that needs none, such
-- as the removal of a key that is not there.
local function write_first(command, key, ...)
  local answer = redis.pcall(command, key, ...)
  if type(answer) ~= 'table' or not answer.err then return answer end
  redis.call('DEL', P .. 'nothing')
  return redis.call(command, key, ...)
end

-- Moves a key of another type out of the way. Who put it there may want to look at it.
local function set_aside(key)
  local aside = P .. 'misplaced:' .. string.sub(key, #P + 1)
  redis.pcall('RENAME', key, aside) -- unless it is gone by now
  redis.call('EXPIRE', aside, MISPLACED_TTL)
end

-- Lets a key that lives on with each use live for at least `ttl` s from now. It gets 2 % more, so
-- that the next uses need not write its end again. Asking for it is a read, which costs the log of
-- writes (AOF) nothing.
local function extend_ttl(key, ttl)
  local left, longest = redis.call('TTL', key), math.floor(1.02 * ttl)
  if left < tonumber(ttl) or left > longest then redis.call('EXPIRE', key, longest) end
end

-- Today's date in UTC, as YYYY-MM-DD. Lua in Redis has no os.date, so the date is computed from the
-- number of days since 1970. This is Howard Hinnant's `civil_from_days`
-- (https://howardhinnant.github.io/date_algorithms.html): years begin in March, so that the leap
-- day comes last, and an era has 400 of them, which is 146097 days.
local function today()
  local days = math.floor(NOW / 86400000) + 719468
  local era = math.floor(days / 146097)
  local day_of_era = days - era * 146097
  local leap_days = math.floor(day_of_era / 1460) - math.floor(day_of_era / 36524)
    + math.floor(day_of_era / 146096)
  local year_of_era = math.floor((day_of_era - leap_days) / 365)
  local day_of_year = day_of_era
    - (365 * year_of_era + math.floor(year_of_era / 4) - math.floor(year_of_era / 100))
  local month_from_march = math.floor((5 * day_of_year + 2) / 153)
  local day = day_of_year - math.floor((153 * month_from_march + 2) / 5) + 1
  local month = month_from_march < 10 and month_from_march + 3 or month_from_march - 9
  local year = year_of_era + era * 400 + (month <= 2 and 1 or 0)
  return string.format('%04d-%02d-%02d', year, month, day)
end

-- The fence. Each lease of a lane has a token, which is higher than that of the lease before. A
-- worker that was frozen may come back long after its lease ran out. If another worker has taken
-- the lane meanwhile, the tokens differ and the late one can write nothing. If nobody has, its token
-- still counts: its work is good, and refusing it would only repeat it.
-- `state` is what was read of the lane, and begins with the fields `held` and `token`.
local function is_held_by(state, token) return state[1] == '1' and state[2] == token end

-- The number of the last commit under a token; `commit` is what the lane says of its last one.
local function last_commit(commit, token)
  return tonumber(string.match(commit or '', '^' .. token .. ':(%d+)$') or '0')
end

-- Sets when to look next at a lane that has items and that nobody holds: when its rest is over, or
-- now. Returns true if that is now; the caller then wakes it. `put_off` is what the lane says of it.
local function schedule_work(lane, rests_until, put_off)
  if rests_until > NOW then
    redis.call('ZADD', DUE, format_int(rests_until), lane)
    return false
  end
  -- A wake-up is about to be sent. The sweep looks only in case that is lost.
  if put_off then redis.call('HDEL', lane_key(lane), 'put_off') end
  redis.call('ZADD', DUE, format_int(NOW + FIRST_PUT_OFF), lane)
  return true
end

-- The same for any lane that nobody holds. An empty one leaves the index, and is soon forgotten.
local function schedule(lane)
  local key = lane_key(lane)
  if redis.call('LLEN', ids_key(lane)) == 0 then
    redis.call('ZREM', DUE, lane)
    redis.call('EXPIRE', key, IDLE_LANE_TTL)
    return false
  end
  local state = redis.call('HMGET', key, 'put_off', 'parked_until', 'parked_at', 'quiet_until',
    'quiet_from')
  local rests_until = math.max(read_due(state[2], state[3]), read_due(state[4], state[5]))
  return schedule_work(lane, rests_until, state[1])
end

-- Appends the texts from position `first` on to a list that keeps its last `most`.
local function append_capped(key, texts, first, most, ttl)
  local length = 0
  for i = first, #texts, MOST_UNPACKED do
    local last = math.min(i + MOST_UNPACKED - 1, #texts)
    length = redis.call('RPUSH', key, unpack(texts, i, last))
  end
  if length > most then redis.call('LTRIM', key, -most, -1) end
  extend_ttl(key, ttl)
end

-- Adds a lane to the lanes to wake, once.
local function add_wake(wakes, lane)
  for _, other in ipairs(wakes) do
    if other == lane then return end
  end
  wakes[#wakes + 1] = lane
end
