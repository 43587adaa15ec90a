-- Takes one of a caller's places, or keeps it for longer.
--
-- KEYS  1 sorted set: who has a place -> until when, in ms
-- ARGV  1 number of places   2 who   3 for how many ms
-- Returns 1, or 0 if all places are taken.

local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now_ms)
local has = redis.call('ZSCORE', KEYS[1], ARGV[2])
if not has and redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[1]) then return 0 end
redis.call('ZADD', KEYS[1], now_ms + tonumber(ARGV[3]), ARGV[2])
return 1
