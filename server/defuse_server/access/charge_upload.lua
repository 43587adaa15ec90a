-- Charges bytes to a caller's day, if they fit.
--
-- KEYS  1 number: bytes of the day
-- ARGV  1 bytes   2 limit   3 lifetime of the number in s
-- Returns nil, or the bytes that were used before if these don't fit.

local used = tonumber(redis.call('GET', KEYS[1]) or '0')
if used + tonumber(ARGV[1]) > tonumber(ARGV[2]) then return used end
redis.call('INCRBY', KEYS[1], ARGV[1])
redis.call('EXPIRE', KEYS[1], ARGV[3])
return nil
