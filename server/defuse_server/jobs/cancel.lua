-- Cancels a job, or asks its worker to stop it.
--
-- KEYS: the resource (hash), then the sorted sets of names in which it may wait: QUEUE, ...
-- ARGV: name, states QUEUED, RUNNING, CANCELLING, CANCELLED
-- Returns the state afterwards, or 0 if there is no such resource. A final state stays as it is.

local state = number_of('state')
if state == tonumber(ARGV[2]) then
  redis.call('HSET', KEYS[1], 'state', ARGV[5], 'end_ms', now_ms())
  for i = 2, #KEYS do redis.call('ZREM', KEYS[i], ARGV[1]) end
  changed(ARGV[1])
  return tonumber(ARGV[5])
end
if state == tonumber(ARGV[3]) then
  redis.call('HSET', KEYS[1], 'state', ARGV[4])
  changed(ARGV[1])
  return tonumber(ARGV[4])
end
return state
