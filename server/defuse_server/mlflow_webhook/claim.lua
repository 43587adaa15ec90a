-- Leases the event that has been due longest.
--
-- KEYS  1 hash: events   2 sorted set: what is due
-- ARGV  1 the lease in ms
-- Returns {id, JSON of the event}, or nil if nothing is due.

local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
local id = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now_ms, 'LIMIT', 0, 1)[1]
if not id then return nil end
redis.call('ZADD', KEYS[2], now_ms + ARGV[1], id)
return {id, redis.call('HGET', KEYS[1], id)}
