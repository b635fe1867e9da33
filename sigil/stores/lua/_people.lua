-- Users, the identities that they hold, and the pairings by which they are let in:
--   a user       a hash: data (JSON), held (the keys of its identities, as a JSON list)
--   an identity  the key of the user who holds it
--   a pairing    a hash: user (the id), paired (the key of the user's set of pairings)

local function is_held_by_another(identity, user)
  local holder = redis.call('GET', identity)
  -- A user whose record is gone holds nothing, as `find_user.lua` says too.
  return holder and holder ~= user and redis.call('HEXISTS', holder, 'data') == 1
end

-- Adds or replaces a user. `held` is `identities` as JSON.
local function save_user(user, all_users, id, data, identities, held)
  -- The identities that the user has had until now are free, unless they are set again below.
  local is_readable, old = pcall(cjson.decode, redis.call('HGET', user, 'held') or '[]')
  if is_readable and type(old) == 'table' then
    for _, key in ipairs(old) do redis.call('DEL', key) end
  end
  for _, key in ipairs(identities) do redis.call('SET', key, user) end
  redis.call('HSET', user, 'data', data, 'held', held)
  redis.call('SADD', all_users, id)
end

-- Whether a pairing can be moved: nil, or the reason why not.
local function check_pairing(pairing, paired)
  local previous, reason = try_read('HGET', pairing, 'paired')
  if reason then return reason end
  return previous and check_type(previous, 'set') or paired and check_type(paired, 'set') or nil
end

-- Moves a pairing to a user, or removes it if no set of the user's pairings is given.
local function save_pairing(pairing, paired, id)
  local previous = redis.call('HGET', pairing, 'paired')
  if previous and previous ~= paired then redis.call('SREM', previous, pairing) end
  if paired then
    redis.call('HSET', pairing, 'user', id, 'paired', paired)
    redis.call('SADD', paired, pairing)
  else
    redis.call('DEL', pairing)
  end
end

-- Whether a user can be let in by an identity: nil, or the reason why not. They get a record unless
-- `data` is ''.
local function check_admission(user, all_users, identity, pairing, paired, id, data)
  local reason = check_type(user, 'hash') or check_type(all_users, 'set')
    or check_type(identity, 'string') or check_pairing(pairing, paired)
  if reason then return reason end
  if data ~= '' and is_held_by_another(identity, user) then return 'taken' end
end

local function admit_user(user, all_users, identity, pairing, paired, id, data, held)
  -- Who came in through another chat at the same moment has a record already, which stays.
  local is_known = redis.call('GET', identity) == user and redis.call('HEXISTS', user, 'data') == 1
  if data ~= '' and not is_known then save_user(user, all_users, id, data, { identity }, held) end
  save_pairing(pairing, paired, id)
end
