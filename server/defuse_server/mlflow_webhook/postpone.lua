-- Sets when an event is due again, unless it is done.
--
-- KEYS  1 hash: events   2 sorted set: what is due
-- ARGV  1 id   2 in how many ms   3 the event's new JSON, or empty to keep it
-- Returns 1, or 0 if it is done.

if not redis.call('ZSCORE', KEYS[2], ARGV[1]) then return 0 end
local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZADD', KEYS[2], now_ms + ARGV[2], ARGV[1])
if ARGV[3] ~= '' then redis.call('HSET', KEYS[1], ARGV[1], ARGV[3]) end
return 1
