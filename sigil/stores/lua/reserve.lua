-- Makes a hold in all scopes, or in none.
-- ARGV: prefix, key of the hold, want, least, ttl ms; then for each scope its key, limit per hour,
-- limit per day ('' for no limit), index of its subjects, and subject ('' for none).
-- Answers {'held', amount}; or {'refused', number of the scope, window, limit, left, ms until it
-- resets, spent}, and then no hold was made. If several windows lack room, the answer names the one
-- that has room again last: a window whose limit is too small for this call in any case, before one
-- that needs its reset, before one that only needs other calls to settle. Answers {'rejected', why}
-- if a window cannot count, and then nothing was written.
-- Repeating it is safe: a hold that exists is granted again, whatever has happened to it since.
local hold, want, least, ttl = ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local MOST_TO_EXPIRE = 20

local amount_before = redis.call('HGET', hold, 'amount')
if amount_before then
  if not is_whole(amount_before) then return { 'rejected', hold .. ' has no amount' } end
  return { 'held', amount_before }
end

-- First only read. A key of another type is an error of the first command that touches it, and each
-- key is touched here, before the first write that changes anything.
local room, refusal, longest_wait, windows, indexes = want, nil, -1, {}, {}
for at = 6, #ARGV, 5 do
  for w, window in ipairs(WINDOWS) do
    local key, limit = ARGV[at] .. window.suffix, tonumber(ARGV[at + w])
    local spent, reserved = read_window(key)
    if not spent then return { 'rejected', key .. ' does not hold the numbers of a budget' } end
    local left = (limit or math.huge) - spent - reserved
    if left < least then
      local wait = 0 -- until other calls settle, which may be soon
      if limit < least then
        wait = math.huge
      elseif limit - spent < least then
        wait = tonumber(window.resets)
      end
      if wait > longest_wait then
        longest_wait = wait
        -- Calls that cost more than their hold may have overspent the window.
        local scope, shown_left = format_int((at - 1) / 5), format_int(math.max(0, left))
        refusal = { 'refused', scope, window.name, format_int(limit), shown_left, window.resets,
          format_int(spent) }
      end
    end
    room = math.min(room, left)
    windows[#windows + 1] = { key = key, ttl = window.ttl }
  end
  if ARGV[at + 4] ~= '' then
    indexes[#indexes + 1] = { key = subjects_key(ARGV[at + 3]), subject = ARGV[at + 4] }
    redis.call('ZCARD', indexes[#indexes].key)
  end
end

-- The first write removes nothing, so it is allowed when Redis is full, as are all that follow it.
redis.call('ZREM', HOLDS, '')
expire_holds(MOST_TO_EXPIRE)
if refusal then return refusal end

local amount, window_keys = format_int(room), {}
for i, window in ipairs(windows) do
  redis.call('HINCRBY', window.key, 'reserved', amount)
  redis.call('EXPIRE', window.key, window.ttl)
  window_keys[i] = window.key
end
for _, index in ipairs(indexes) do
  redis.call('ZADD', index.key, format_int(NOW), index.subject)
  redis.call('ZREMRANGEBYRANK', index.key, 0, -1 - MOST_SUBJECTS)
  redis.call('EXPIRE', index.key, DAY.ttl)
end
redis.call('HSET', hold, 'amount', amount, 'ttl', ARGV[5], 'windows', table.concat(window_keys, ' '))
redis.call('ZADD', HOLDS, format_int(NOW + ttl), hold)
return { 'held', amount }
