-- Finds out where items are and whether they have ended, all at one moment.
-- ARGV: prefix, then for each item its id and a lane in which it was seen ('' if in none).
-- Answers for each item {day, outcome or delivery, lane, how often it is in a lane}. What its record
-- does not say is ''. The lane is the last one that it was pushed to; an item that has ended names none.
-- Repeating it is safe: it only reads.
local answer = {}
for at = 2, #ARGV, 2 do
  local id, seen = ARGV[at], ARGV[at + 1]
  local record = try_read('HMGET', item_key(id), 'day', 'outcome', 'delivery',
    'lane:delivery', 'lane:session', 'lane:inbound') or {}
  local lanes, last = {}, ''
  for _, lane in ipairs({ record[6] or '', record[5] or '', record[4] or '', seen }) do
    if lane ~= '' then lanes[lane] = true end
  end
  local places = 0
  for lane in pairs(lanes) do
    places = places + #(try_read('LPOS', ids_key(lane), id, 'COUNT', 0) or {})
  end
  for place = 4, 6 do
    if last == '' then last = record[place] or '' end
  end
  local ending = record[4] and record[3] or record[2] or ''
  answer[#answer + 1] = { record[1] or '', ending, last, places }
end
return answer
