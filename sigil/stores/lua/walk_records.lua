-- Walks over all records, part by part, and finds those of items that have not ended.
-- ARGV: prefix, pattern of the records' keys, cursor ('0' to begin), about how many keys.
-- Answers {next cursor ('0' at the end), {id, …}, {'<day> <outcome>', how many, …}}: the items that
-- have not ended, and how many messages have. Of the many that have ended nothing else is sent.
-- Repeating it is safe: it only reads. A key may be seen twice if the server resizes its table.
local scanned = redis.call('SCAN', ARGV[3], 'MATCH', ARGV[2], 'COUNT', ARGV[4])
local open, ended = {}, {}
for _, key in ipairs(scanned[2]) do
  local record = try_read('HMGET', key, 'day', 'outcome', 'lane:delivery', 'delivery') or {}
  if record[3] then
    if not record[4] then open[#open + 1] = string.sub(key, #item_key('') + 1) end
  elseif record[1] and record[2] then
    local name = record[1] .. ' ' .. record[2]
    ended[name] = (ended[name] or 0) + 1
  elseif record[1] then
    open[#open + 1] = string.sub(key, #item_key('') + 1)
  end
end
local counts = {}
for name, count in pairs(ended) do
  counts[#counts + 1] = name
  counts[#counts + 1] = count
end
return { scanned[1], open, counts }
