-- KEYS: the resource (hash), then sorted sets of names: QUEUE, and where else it may wait
-- ARGV: name, states QUEUED, RUNNING, CANCELLING, CANCELLED
-- Answers the state after it: 0 where there is no such resource; a final state stays as it is.

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
