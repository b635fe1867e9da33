-- Sets money aside in all scopes or in none. ARGV: prefix, key of the reservation, want, least,
-- ttl ms; then for each scope its key, limit per hour, limit per day ('' for none), index of its
-- subjects, and subject. Answers {'held', amount}; or {'refused', number of the scope, window,
-- limit, left, ms until it resets, spent}, and then nothing was set aside. Of several windows
-- without room it is the one that has room again last: never, at its reset, or once others settle.
local hold, want, least, ttl = ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local MOST_ON_THE_WAY = 20

local known = redis.call('HGET', hold, 'amount')
if known then return { 'held', known } end

-- Each key is read before the first write, so that one of another type is an error that leaves
-- nothing half done (`expire` begins by reading the index).
local room, refused, longest, keys, indexes = want, nil, -1, {}, {}
for at = 6, #ARGV, 5 do
  for w, window in ipairs(WINDOWS) do
    local key, limit = ARGV[at] .. window.suffix, tonumber(ARGV[at + w])
    local found = redis.call('HMGET', key, 'spent', 'reserved')
    local spent, reserved = tonumber(found[1] or '0'), tonumber(found[2] or '0')
    local left = (limit or math.huge) - spent - reserved
    if left < least then
      local rest = 0
      if limit < least then
        rest = math.huge
      elseif limit - spent < least then
        rest = tonumber(window.resets)
      end
      if rest > longest then
        longest = rest
        local scope, shown = int((at - 1) / 5), int(math.max(0, left))
        refused = { 'refused', scope, window.name, int(limit), shown, window.resets, int(spent) }
      end
    end
    room = math.min(room, left)
    keys[#keys + 1] = { name = key, ttl = window.ttl }
  end
  if ARGV[at + 4] ~= '' then
    indexes[#indexes + 1] = { name = subjects_key(ARGV[at + 3]), subject = ARGV[at + 4] }
    redis.call('ZCARD', indexes[#indexes].name)
  end
end

expire(MOST_ON_THE_WAY)
if refused then return refused end

local amount, names = int(room), {}
for i, key in ipairs(keys) do
  redis.call('HINCRBY', key.name, 'reserved', amount)
  redis.call('EXPIRE', key.name, key.ttl)
  names[i] = key.name
end
for _, index in ipairs(indexes) do
  redis.call('ZADD', index.name, int(NOW), index.subject)
  redis.call('ZREMRANGEBYRANK', index.name, 0, -1 - MOST_SUBJECTS)
  redis.call('EXPIRE', index.name, DAY.ttl)
end
redis.call('HSET', hold, 'amount', amount, 'windows', table.concat(names, ' '))
redis.call('ZADD', HOLDS, int(NOW + ttl), hold)
return { 'held', amount }
