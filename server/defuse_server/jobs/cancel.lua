-- KEYS: the resource (hash), QUEUE (sorted set of names)
-- ARGV: name, states QUEUED, RUNNING, CANCELLING, CANCELLED
-- Answers the state after it: 0 where there is no such resource; a final state stays as it is.

local state = number_of('state')
if state == tonumber(ARGV[2]) then
  redis.call('HSET', KEYS[1], 'state', ARGV[5], 'end_ms', now_ms())
  redis.call('ZREM', KEYS[2], ARGV[1])
  changed(ARGV[1])
  return tonumber(ARGV[5])
end
if state == tonumber(ARGV[3]) then
  redis.call('HSET', KEYS[1], 'state', ARGV[4])
  changed(ARGV[1])
  return tonumber(ARGV[4])
end
return state
