-- Stores one piece of a file that came in, if there is room for it.
-- KEYS: the file, the index of all files. ARGV: prefix, the file's id, the piece's number, the piece,
-- the bytes of the file with it, the most bytes of all files, the most files, s for which they are kept,
-- ms for which none makes room for others, and after the last piece the file's description as JSON.
-- Answers '1', or '0' if there is no room; then nothing was stored.
-- Repeating it is safe: the same piece goes into the same place.
--
-- The index says of each file 'ms bytes': when its last piece came, and how many bytes it has.
--
-- Files must leave room for messages, so they are refused long before those are, and all of them
-- together get no more than a part of the memory.
local REFUSED_AT, SHARE = 0.75, 0.25

local used, limit = measure_room()
local most = tonumber(ARGV[6])
if limit > 0 then
  most = math.min(most, SHARE * limit)
  if used > REFUSED_AT * limit then return '0' end
end

local flat, why = try_read('HGETALL', KEYS[2])
if why then return redis.error_reply(why) end
local others, total, gone = {}, tonumber(ARGV[5]), {}
for at = 1, #flat, 2 do
  local id = flat[at]
  local written, bytes = string.match(flat[at + 1], '^(%d+) (%d+)$')
  local age = NOW - (tonumber(written) or 0)
  if id ~= ARGV[2] then
    if age >= 1000 * ARGV[8] then
      gone[#gone + 1] = id
    else
      others[#others + 1] = { id = id, age = age, bytes = tonumber(bytes) or 0 }
      total = total + others[#others].bytes
    end
  end
end

-- The oldest make room.
table.sort(others, function(a, b) return a.age > b.age end)
local left = #others
for _, other in ipairs(others) do
  if total <= most and left < tonumber(ARGV[7]) then break end
  if other.age < tonumber(ARGV[9]) then return '0' end
  gone[#gone + 1] = other.id
  total = total - other.bytes
  left = left - 1
end
if total > most then return '0' end

for _, id in ipairs(gone) do
  redis.call('DEL', P .. 'blob:' .. id)
  redis.call('HDEL', KEYS[2], id)
end
if check_type(KEYS[1], 'hash') then set_aside(KEYS[1]) end
redis.call('HSET', KEYS[2], ARGV[2], format_int(NOW) .. ' ' .. ARGV[5])
redis.call('EXPIRE', KEYS[2], ARGV[8])
redis.call('HSET', KEYS[1], ARGV[3], ARGV[4])
if ARGV[10] ~= '' then redis.call('HSET', KEYS[1], 'about', ARGV[10]) end
redis.call('EXPIRE', KEYS[1], ARGV[8])
return '1'
