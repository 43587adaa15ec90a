-- Ends an evaluation's wait for its audit: it gets its place in the queue, or fails.
--
-- KEYS: the evaluation (hash), AWAITING_AUDIT (sorted set of names), QUEUE (sorted set of names), SEQUENCE (number),
--       digest of what evaluations are made of -> name (hash)
-- ARGV: name, state while it waits, body, digest under which it was found while it waited, digest from now on,
--       state of a failed job, failure or ''
-- Returns 1, or 0 if it no longer waits because it was cancelled, deleted or settled.

local name = ARGV[1]
if redis.call('ZREM', KEYS[2], name) == 0 or number_of('state') ~= tonumber(ARGV[2]) then
  return 0
end
if redis.call('HGET', KEYS[5], ARGV[4]) == name then
  redis.call('HDEL', KEYS[5], ARGV[4])
end
redis.call('HSET', KEYS[1], 'body', ARGV[3])
if ARGV[7] ~= '' then
  redis.call('HSET', KEYS[1], 'state', ARGV[6], 'failure', ARGV[7], 'end_ms', now_ms())
else
  redis.call('HSET', KEYS[5], ARGV[5], name)
  redis.call('ZADD', KEYS[3], redis.call('INCR', KEYS[4]), name)
  redis.call('HSET', KEYS[1], 'queue_ms', now_ms())
end
changed(name)
return 1
