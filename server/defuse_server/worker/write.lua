-- Writes fields of a job.
--
-- KEYS: the resource (hash)
-- ARGV: name, attempt, unfinished states, then field, value, ...
-- Returns 1, or -1 if the worker no longer has the job.

if not owns(ARGV[2], ARGV[3]) then
  return -1
end
for i = 4, #ARGV, 2 do
  redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1])
end
changed(ARGV[1])
return 1
