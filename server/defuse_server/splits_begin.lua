-- Queues the split of an audit's MIXED regions, unless one is under way.
--
-- KEYS  1 hash: the audit   2 hash: its split   3 sorted set: the queue   4 number: the sequence
--       5 set: names of regions to be split
-- ARGV  1 name of the split   2 its body   3 state QUEUED   4 unfinished states: '1,2'   5 state SUCCEEDED
--       6 channel of changes   7... names of the audit's regions that wait
-- Returns begun, busy (the one before has not ended), early (the audit has not succeeded), or gone (there is no such
-- audit; nobody waits any more).

local audit_state = redis.call('HGET', KEYS[1], 'state')
if not audit_state then
  for i = 7, #ARGV do redis.call('SREM', KEYS[5], ARGV[i]) end
  return 'gone'
end
if audit_state ~= ARGV[5] then return 'early' end
local state = redis.call('HGET', KEYS[2], 'state')
if state and (',' .. ARGV[4] .. ','):find(',' .. state .. ',', 1, true) then return 'busy' end

local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('HDEL', KEYS[2], 'failure', 'progress', 'start_ms', 'end_ms', 'deaths', 'heartbeat_ms', 'worker')
-- The attempts count on over all splits of the audit: the fence tells the workers of the one before, too. `released`
-- says that none of them died of this one.
redis.call('HSETNX', KEYS[2], 'attempt', 0)
redis.call('HSET', KEYS[2], 'body', ARGV[2], 'state', ARGV[3], 'released', 1,
  'create_ms', string.format('%.0f', now_ms))
redis.call('HINCRBY', KEYS[2], 'revision', 1)
redis.call('ZADD', KEYS[3], redis.call('INCR', KEYS[4]), ARGV[1])
redis.call('PUBLISH', ARGV[6], ARGV[1])
return 'begun'
