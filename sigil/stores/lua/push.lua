-- Appends one item to a lane, once ever, with its first effects. ARGV: prefix, then the push
-- itself as the first effect, then the others. Answers 'pushed', wakes…; or 'duplicate'.
local found = read_effects(2)
local lane, id = found[1].args[1], found[1].args[2]
if was_pushed(id, lane) then -- check: duplicate
  count(today(), 'duplicate')
  return { 'duplicate' }
end
local reason = check_effects(found)
if reason then return { reason } end
local wakes = { 'pushed' }
apply_effects(found, wakes)
return wakes
