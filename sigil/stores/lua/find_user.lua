-- Finds the user who holds an identity, and whom a pairing lets in, in one round trip.
-- KEYS: the identity, its pairing. Answers {the user as JSON or nil, the paired user's id or nil}.
local user = redis.call('GET', KEYS[1])
return { user and redis.call('HGET', user, 'data'), redis.call('HGET', KEYS[2], 'user') }
