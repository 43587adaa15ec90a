-- Records a heartbeat.
--
-- KEYS: the resource (hash), RUNNING
-- ARGV: name, attempt, unfinished states
-- Returns the state, or -1 if the worker no longer has the job.

if not owns(ARGV[2], ARGV[3]) then
  return -1
end
redis.call('HSET', KEYS[1], 'heartbeat_ms', now_ms())
return number_of('state')
