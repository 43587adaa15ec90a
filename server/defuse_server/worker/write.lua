-- Writes a field of a job.
--
-- KEYS: the resource (hash), RUNNING
-- ARGV: name, attempt, unfinished states, field, value
-- Returns 1, or -1 if the worker no longer has the job.

if not owns(ARGV[2], ARGV[3]) then
  return -1
end
redis.call('HSET', KEYS[1], ARGV[4], ARGV[5])
changed(ARGV[1])
return 1
