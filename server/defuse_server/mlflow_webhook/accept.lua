-- Accepts a delivery once.
--
-- KEYS  1 sorted set: deliveries   2 hash: events   3 sorted set: what is due
-- ARGV  1 id   2 JSON of the event   3 how long an id is remembered, in ms
-- Returns 1, or 0 for an id that came before.

local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now_ms - ARGV[3])
if redis.call('ZADD', KEYS[1], 'NX', now_ms, ARGV[1]) == 0 then return 0 end
redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
redis.call('ZADD', KEYS[3], now_ms, ARGV[1])
return 1
