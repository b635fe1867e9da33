-- Appends one item to a lane, once ever, and applies further effects in the same step.
-- ARGV: prefix, then the push itself as the first effect, then the other effects.
-- Answers {'pushed', lanes to wake…}; or {'duplicate'}, {'full <noticed> <lane>'} or
-- {'rejected <why>'} or {'no_room'}, and then nothing was applied. Only the count of duplicates rises.
-- Repeating it is safe: the id is known by then, so the repeat is a duplicate.
local list = read_effects(2)
local lane, id = list[1].args[1], list[1].args[2]
if was_pushed(id, lane) then -- check: duplicate
  count_in_ledger(today(), 'duplicate')
  return { 'duplicate' }
end
local _, _, is_full = measure_room()
if is_full then return { 'no_room' } end
local reason = check_effects(list)
if reason then return { reason } end
local answer = { 'pushed' }
apply_effects(list, answer)
return answer
