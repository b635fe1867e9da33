-- Finds the user who holds an identity, in one round trip.
-- KEYS: the identity. Answers the user as JSON, or nil.
local user = redis.call('GET', KEYS[1])
return user and redis.call('HGET', user, 'data')
