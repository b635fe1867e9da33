-- Reads a session and the history of its current epoch in one step: /new cannot come between.
-- KEYS: the session. ARGV: prefix, the key of a history without the epoch at its end.
-- Answers {epoch, model, input tokens, output tokens, version, {messages, oldest first…}, lowest
-- version of Sigil that may read it}.
local state = redis.call('HMGET', KEYS[1], 'epoch', 'model', 'input_tokens', 'output_tokens',
  'version', 'min')
local epoch = state[1] or '0'
local messages = redis.call('LRANGE', ARGV[2] .. epoch, 0, -1)
return { epoch, state[2] or '', state[3] or '0', state[4] or '0', state[5] or '0', messages,
  state[6] or '1' }
