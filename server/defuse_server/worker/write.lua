-- KEYS: the resource (hash)
-- ARGV: name, attempt, unfinished states, then field, value, ...
-- Answers 1, or -1 to a worker that no longer has the job.

if not owns(ARGV[2], ARGV[3]) then
  return -1
end
for i = 4, #ARGV, 2 do
  redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1])
end
changed(ARGV[1])
return 1
