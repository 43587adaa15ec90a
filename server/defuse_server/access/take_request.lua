-- Takes a token from a caller's bucket, which holds what one second fills, but at least one.
--
-- KEYS  1 hash: the bucket
-- ARGV  1 tokens a second
-- Returns 0, or the ms after which there is a token.

local rate = tonumber(ARGV[1])
local size = math.max(1, rate)
local time = redis.call('TIME')
local now_ms = time[1] * 1000 + time[2] / 1000
local bucket = redis.call('HMGET', KEYS[1], 'tokens', 'ms')
local tokens = size
if bucket[1] then tokens = math.min(size, tonumber(bucket[1]) + (now_ms - tonumber(bucket[2])) * rate / 1000) end
local wait_ms = 0
if tokens >= 1 then tokens = tokens - 1 else wait_ms = math.ceil((1 - tokens) * 1000 / rate) end
redis.call('HSET', KEYS[1], 'tokens', string.format('%.6f', tokens), 'ms', string.format('%.3f', now_ms))
redis.call('PEXPIRE', KEYS[1], math.ceil(size * 1000 / rate))
return wait_ms
