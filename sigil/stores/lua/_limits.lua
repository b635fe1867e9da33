-- How fast one sender may write: the generic cell rate algorithm (GCRA, as in ATM networks; it is the
-- leaky bucket, kept as one time).
--
-- A sender's state is limit:<sender>, a text 'ends at told':
--   ends   when all that they wrote would be read, at one message in each `interval`
--   at     when this was written
--   told   '1' if they were told that they write too much, since nothing of theirs waited
-- It is forgotten when it says nothing any more. A key of another type is overwritten.

-- How long a message that was refused here is remembered (s): as long as a platform may send it again.
-- Those who flood bring many.
local REFUSED_TTL = 3600
-- Times are written with three digits.
local ROUNDING = 0.01

-- Decides about one more message. `limit` has key, interval (ms), burst, and most: how many messages
-- may wait (0: those over the rate are refused). Returns the state to be, with
--   due      when the message may be read, if it must wait
--   refuses  the reason why not: 'first' since nothing waited, or 'again'
local function measure_limit(limit)
  local ends, at, told = string.match(try_read('GET', limit.key) or '', '^(%d+%.%d+) (%d+) ([01])$')
  -- After the clock stepped back, this would last for as long as it stepped.
  if lies_ahead(at) then ends, told = nil, nil end
  ends = math.max(tonumber(ends or '0'), NOW)
  local wait = ends - (limit.burst - 1) * limit.interval - NOW
  -- A group's flooder has nothing that waits. Their bucket must be full again.
  if limit.most > 0 and wait <= ROUNDING or ends == NOW then told = '0' end
  if wait > limit.most * limit.interval + ROUNDING then
    return { ends = ends, told = '1', refuses = told == '1' and 'again' or 'first' }
  end
  return { ends = ends + limit.interval, told = told or '0', due = wait > ROUNDING and NOW + wait or nil }
end

local function save_limit(limit, state)
  local text = string.format('%.3f %s %s', state.ends, format_int(NOW), state.told)
  redis.call('SET', limit.key, text, 'PX', format_int(math.ceil(state.ends - NOW) + CLOCK_SLACK))
end

-- Ends a message that is accepted and not taken. It is known as pushed, so it is not taken later.
local function refuse_item(id, lane)
  redis.call('HSET', item_key(id), 'lane:' .. kind_of(lane), lane)
  end_item(id, 'outcome', 'refused', false, REFUSED_TTL)
end
