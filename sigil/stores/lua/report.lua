-- Takes a platform's later word on a chunk that was sent.
-- KEYS: what the platform calls the chunk: 'chunk <n> <id>' once its receipt is kept, before that the
-- report ('report <state> <reason>') if it was quicker.
-- ARGV: prefix, report ('<state> <reason>'), ttl of one that comes too early s.
-- Answers {'noted', id, '1' if this is the first that says the message was not delivered, else '0'},
-- {'early'}, or {'rejected <why>'}.
-- Repeating it is safe: the same report again changes nothing.
local key, report = KEYS[1], ARGV[2]
local known, reason = try_read('GET', key)
if reason then return { reason } end
local chunk, id = string.match(known or '', '^chunk (%d+) (%S+)$')
if not chunk then
  local early = string.match(known or '', '^report (.*)$')
  if rank_report(report) > rank_report(early) then
    write_first('SET', key, 'report ' .. report, 'EX', ARGV[3])
  end
  return { 'early' }
end
reason = check_report(id)
if reason then return { reason } end
-- The record may have expired: the key must not bring it back.
if redis.call('EXISTS', item_key(id)) == 0 then return { 'early' } end
redis.call('DEL', P .. 'nothing') -- so that it is noted also when Redis is full
return { 'noted', id, note_report(id, chunk, report) and '1' or '0' }
