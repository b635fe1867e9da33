-- Reads the same fields of many records.
-- ARGV: prefix, number of fields, the fields, then the ids of the items.
-- Answers the values (nil for one that is not there, or if the record is a key of another type), those of the first item first.
-- Repeating it is safe: it only reads.
local fields, answer = {}, {}
for at = 1, tonumber(ARGV[2]) do fields[at] = ARGV[2 + at] end
for at = 3 + #fields, #ARGV do
  local values = try_read('HMGET', item_key(ARGV[at]), unpack(fields)) or {}
  for place = 1, #fields do answer[#answer + 1] = values[place] or false end
end
return answer
