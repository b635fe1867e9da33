-- The JSON of the user who holds the identity KEYS[1], or nil.
local user = redis.call('GET', KEYS[1])
return user and redis.call('HGET', user, 'data')
