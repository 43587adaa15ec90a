-- Gives a job back, so that its next claim counts no death.
--
-- KEYS: the resource (hash), RUNNING
-- ARGV: name, attempt, unfinished states
-- Returns 1, or -1 if the worker no longer has the job.

if not owns(ARGV[2], ARGV[3]) then
  return -1
end
redis.call('HSET', KEYS[1], 'released', 1)
changed(ARGV[1])
return 1
