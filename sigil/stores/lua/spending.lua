-- The running windows of scopes. ARGV: prefix, then the scopes' keys. Answers for each scope, for
-- the hour and then the day: spent, reserved, ms until it resets.
local answer = {}
for at = 2, #ARGV do
  for _, window in ipairs(WINDOWS) do
    local found = redis.call('HMGET', ARGV[at] .. window.suffix, 'spent', 'reserved')
    answer[#answer + 1] = { found[1] or '0', found[2] or '0', window.resets }
  end
end
return answer
