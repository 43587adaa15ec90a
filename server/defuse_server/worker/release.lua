-- KEYS: the resource (hash)
-- ARGV: name, attempt, unfinished states
-- Gives the job back unharmed, so that its next claim counts no death. Answers 1 or -1.

if not owns(ARGV[2], ARGV[3]) then
  return -1
end
redis.call('HSET', KEYS[1], 'released', 1)
changed(ARGV[1])
return 1
