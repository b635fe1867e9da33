-- How much memory is left, for the scripts that take in new work.
--
-- New work is refused while there is still room, so that what was accepted can be finished: answers,
-- histories and receipts need memory, before what they replace is freed.
local FULL_AT = 0.9

-- Returns used bytes, the limit (maxmemory; 0 if there is none or if it is not known), and whether new
-- work is refused. It is read here, and not now and then by each process, since the answer is exact
-- so and costs the server 8 us: a hundredth of what it does for a message.
local function measure_room()
  local info = redis.pcall('INFO', 'memory')
  if type(info) ~= 'string' then return 0, 0, false end -- not allowed for this user
  local limit = tonumber(string.match(info, '\nmaxmemory:(%d+)') or '0')
  local used = tonumber(string.match(info, '\nused_memory:(%d+)') or '0')
  -- Buffers of replicas and of the log of writes, which the server does not count either.
  used = used - tonumber(string.match(info, '\nmem_not_counted_for_evict:(%d+)') or '0')
  return used, limit, limit > 0 and used >= FULL_AT * limit
end
