-- Reads the current windows of scopes.
-- ARGV: prefix, then the scopes' keys.
-- Answers {spent, reserved, ms until it resets} for the hour and then the day of each scope.
local answer = {}
for at = 2, #ARGV do
  for _, window in ipairs(WINDOWS) do
    local state = redis.call('HMGET', ARGV[at] .. window.suffix, 'spent', 'reserved')
    answer[#answer + 1] = { state[1] or '0', state[2] or '0', window.resets }
  end
end
return answer
