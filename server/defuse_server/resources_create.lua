-- Makes a resource, once for each request id.
--
-- KEYS  1 hash: the request   2 hash: the new resource   3 sorted set: the collection's index
--       4 sorted set: the queue   5 number: the sequence   6 set: the new resource's referrers
--       7, 8, 7 + 2, 8 + 2, ... hash: a resource that it refers to, set: that one's referrers
-- ARGV  1 name   2 digest of the request   3 body   4 state   5 lifetime of the request in s
--       6 names that it refers to, joined by spaces   7... names of those that refer to it
-- Returns {outcome, detail}: made, known (its name), reused, missing (which of the references, from 1).

local known = redis.call('HMGET', KEYS[1], 'digest', 'name')
if known[1] then
  if known[1] ~= ARGV[2] then return {'reused', ''} end
  return {'known', known[2]}
end
for i = 7, #KEYS, 2 do
  if redis.call('EXISTS', KEYS[i]) == 0 then return {'missing', (i - 5) / 2} end
end

local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
local sequence = redis.call('INCR', KEYS[5])
redis.call('HSET', KEYS[1], 'digest', ARGV[2], 'name', ARGV[1])
redis.call('EXPIRE', KEYS[1], ARGV[5])
redis.call('HSET', KEYS[2], 'body', ARGV[3], 'state', ARGV[4], 'revision', 1, 'attempt', 0,
  'create_ms', string.format('%.0f', now_ms), 'references', ARGV[6])
redis.call('ZADD', KEYS[3], sequence, ARGV[1])
redis.call('ZADD', KEYS[4], sequence, ARGV[1])
for i = 8, #KEYS, 2 do redis.call('SADD', KEYS[i], ARGV[1]) end
for i = 7, #ARGV do redis.call('SADD', KEYS[6], ARGV[i]) end
return {'made', ARGV[1]}
