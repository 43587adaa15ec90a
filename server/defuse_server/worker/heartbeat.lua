-- KEYS: the resource (hash)
-- ARGV: attempt, unfinished states
-- Answers the state, or -1 to a worker that no longer has the job.

if not owns(ARGV[1], ARGV[2]) then
  return -1
end
redis.call('HSET', KEYS[1], 'heartbeat_ms', now_ms())
return number_of('state')
