-- Reads a session and the history of one epoch in one step: /new cannot come between.
-- KEYS: the session. ARGV: prefix, the key of a history without the epoch at its end, the epoch
-- wanted ('' or a later one than there is: the current one).
-- Answers {current epoch, model, input tokens, output tokens, version, {messages, oldest first…},
-- lowest version of Sigil that may read it, epoch of the messages}. The tokens are those of the
-- current epoch.
local state = redis.call('HMGET', KEYS[1], 'epoch', 'model', 'input_tokens', 'output_tokens',
  'version', 'min')
local current = state[1] or '0'
local epoch = current
if (tonumber(ARGV[3]) or math.huge) < tonumber(current) then epoch = ARGV[3] end
local messages = redis.call('LRANGE', ARGV[2] .. epoch, 0, -1)
return { current, state[2] or '', state[3] or '0', state[4] or '0', state[5] or '0', messages,
  state[6] or '1', epoch }
