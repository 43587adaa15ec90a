-- Ends a job.
--
-- KEYS: the resource (hash), RUNNING (set of names)
-- ARGV: name, attempt, unfinished states, final state, state while cancelling, cancelled state, body, failure or ''
-- Returns 1; 0 if a cancel came first, and the job must end cancelled; -1 if the worker no longer has the job.

if not owns(ARGV[2], ARGV[3]) then
  return -1
end
if number_of('state') == tonumber(ARGV[5]) and ARGV[4] ~= ARGV[6] then
  return 0
end
redis.call('HSET', KEYS[1], 'state', ARGV[4], 'body', ARGV[7], 'end_ms', now_ms())
if ARGV[8] ~= '' then
  redis.call('HSET', KEYS[1], 'failure', ARGV[8])
end
redis.call('SREM', KEYS[2], ARGV[1])
changed(ARGV[1])
return 1
