-- Claims a job as its next attempt.
--
-- KEYS: the resource (hash), QUEUE (sorted set of names), RUNNING (set of names), COUNTERS (hash)
-- ARGV: name, worker, unfinished states, state while running, state while cancelling, age in ms from which an
--       attempt without a heartbeat counts as dead
-- Returns {outcome, attempt, deaths}.

local name, worker, unfinished = ARGV[1], ARGV[2], ARGV[3]
local state = number_of('state')

if not contains(unfinished, state) then
  redis.call('ZREM', KEYS[2], name)
  redis.call('SREM', KEYS[3], name)
  return {'OVER', 0, 0}
end

local now = now_ms()
local abandoned = number_of('attempt') > 0 and redis.call('HEXISTS', KEYS[1], 'released') == 0
if abandoned and now - number_of('heartbeat_ms') < tonumber(ARGV[6]) then
  return {'BUSY', 0, 0}
end
local deaths = number_of('deaths')
if abandoned then
  deaths = redis.call('HINCRBY', KEYS[1], 'deaths', 1)
  redis.call('HINCRBY', KEYS[4], 'job_leases_expired', 1)
end

local attempt = redis.call('HINCRBY', KEYS[1], 'attempt', 1)
redis.call('HSET', KEYS[1], 'worker', worker, 'heartbeat_ms', now)
redis.call('HSETNX', KEYS[1], 'start_ms', now)
redis.call('HDEL', KEYS[1], 'released')
redis.call('ZREM', KEYS[2], name)
redis.call('SADD', KEYS[3], name)
local outcome = 'CANCELLING'
if state ~= tonumber(ARGV[5]) then
  outcome = 'CLAIMED'
  redis.call('HSET', KEYS[1], 'state', ARGV[4])
end
changed(name)
return {outcome, attempt, deaths}
