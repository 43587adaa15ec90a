-- Commits one part of an upload, if it begins where the upload ends.
--
-- KEYS  1 hash: the upload   2 list: its parts
-- ARGV  1 offset   2 size of the part   3 the part's file name   4 lifetime in s
-- Returns {outcome, committed bytes}: committed, missing, offset (the upload ends elsewhere), size (too many bytes).

local known = redis.call('HMGET', KEYS[1], 'committed_bytes', 'size_bytes', 'artifact')
if not known[1] then return {'missing', 0} end
local committed = tonumber(known[1])
if committed ~= tonumber(ARGV[1]) or known[3] ~= '' then return {'offset', known[1]} end
if committed + tonumber(ARGV[2]) > tonumber(known[2]) then return {'size', known[1]} end

local now_committed = redis.call('HINCRBY', KEYS[1], 'committed_bytes', ARGV[2])
redis.call('RPUSH', KEYS[2], ARGV[3])
redis.call('EXPIRE', KEYS[1], ARGV[4])
redis.call('EXPIRE', KEYS[2], ARGV[4])
return {'committed', now_committed}
