-- Reads a session and the history of its epoch in one step.
-- KEYS: the session. ARGV, after the prefix: the key of a history up to its epoch.
-- Returns epoch, model, input tokens, output tokens, messages (oldest first).
local found = redis.call('HMGET', KEYS[1], 'epoch', 'model', 'input_tokens', 'output_tokens')
local epoch = found[1] or '0'
local messages = redis.call('LRANGE', ARGV[2] .. epoch, 0, -1)
return { epoch, found[2] or '', found[3] or '0', found[4] or '0', messages }
