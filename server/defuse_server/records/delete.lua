-- Deletes a resource that no other refers to, with everything that belongs to it.
--
-- KEYS  1 hash: the resource   2 sorted set: the collection's index   3 sorted set: the queue
--       4 set: its referrers   5... sets: the referrers of the resources that it refers to (ARGV[3] of them),
--       then keys of any type that belong to it
-- ARGV  1 name   2 channel of changes   3 how many resources it refers to
--       4... the states in which it may be deleted (none given: in any state)
-- Returns {outcome, detail}: deleted, missing, state (the present one), used (its referrers...).

local state = redis.call('HGET', KEYS[1], 'state')
if not state then return {'missing'} end
local allowed = #ARGV == 3
for i = 4, #ARGV do allowed = allowed or ARGV[i] == state end
if not allowed then return {'state', state} end
if redis.call('SCARD', KEYS[4]) > 0 then return {'used', unpack(redis.call('SRANDMEMBER', KEYS[4], 3))} end

local references = tonumber(ARGV[3])
for i = 5, 4 + references do redis.call('SREM', KEYS[i], ARGV[1]) end
for i = 5 + references, #KEYS do redis.call('DEL', KEYS[i]) end
redis.call('DEL', KEYS[1], KEYS[4])
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('ZREM', KEYS[3], ARGV[1])
redis.call('PUBLISH', ARGV[2], ARGV[1])
return {'deleted'}
