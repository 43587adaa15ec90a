-- Queues the region split of an audit's MIXED regions before all long jobs, unless one is under way. If the audit ended without success, its
-- regions are not split: the script publishes why, and the annotators' answers stay.
--
-- KEYS  1 hash: the audit   2 hash: its region split   3 sorted set: the queue   4 number: the sequence
--       5 set: names of regions to be split   6 hash, region number -> outcome
--       7 set: numbers of regions whose label is used
-- ARGV  1 name of the region split   2 its body   3 state QUEUED   4 unfinished states: '1,2'   5 state SUCCEEDED
--       6 states without success: '4,6'   7 their regions' outcome   8 channel of changes   9 name of the audit
--       10 by how much its place in the queue lies before its sequence number
--       11... name and number of each of the audit's regions that wait, by turns
-- Returns begun, busy (the previous region split has not ended), early (the audit has not ended), whole (the audit ended
-- without success), or gone (there is no such audit). After the last two, no region of the audit waits any more.

local function is_one_of(states, state)
  return (',' .. states .. ','):find(',' .. state .. ',', 1, true)
end

local audit_state = redis.call('HGET', KEYS[1], 'state')
if not audit_state then
  for i = 11, #ARGV, 2 do redis.call('SREM', KEYS[5], ARGV[i]) end
  return 'gone'
end
if is_one_of(ARGV[6], audit_state) then
  for i = 11, #ARGV, 2 do
    -- An answer may have been taken back since the names were read.
    if redis.call('SREM', KEYS[5], ARGV[i]) == 1 then
      redis.call('HSET', KEYS[6], ARGV[i + 1], ARGV[7])
      redis.call('SADD', KEYS[7], ARGV[i + 1])
      redis.call('PUBLISH', ARGV[8], ARGV[i])
    end
  end
  redis.call('HINCRBY', KEYS[1], 'revision', 1)
  redis.call('PUBLISH', ARGV[8], ARGV[9])
  return 'whole'
end
if audit_state ~= ARGV[5] then return 'early' end
local state = redis.call('HGET', KEYS[2], 'state')
if state and is_one_of(ARGV[4], state) then return 'busy' end

local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('HDEL', KEYS[2], 'failure', 'progress', 'start_ms', 'end_ms', 'deaths', 'heartbeat_ms', 'worker')
-- Attempts are counted over all region splits of the audit, so the fence also stops workers of the previous one.
-- `released` says that no worker died of this one.
redis.call('HSETNX', KEYS[2], 'attempt', 0)
redis.call('HSET', KEYS[2], 'body', ARGV[2], 'state', ARGV[3], 'released', 1,
  'create_ms', string.format('%.0f', now_ms))
redis.call('HINCRBY', KEYS[2], 'revision', 1)
redis.call('ZADD', KEYS[3], redis.call('INCR', KEYS[4]) - tonumber(ARGV[10]), ARGV[1])
redis.call('PUBLISH', ARGV[8], ARGV[1])
return 'begun'
