-- Publishes an audit's bug once, if the worker still has the job.
--
-- KEYS  1 hash: the audit   2 hash, bug number -> body
-- ARGV  1 name of the audit   2 channel of changes   3 attempt   4 bug number   5 body
-- Returns published, known, or fenced.

local now = redis.call('HMGET', KEYS[1], 'attempt', 'end_ms')
if now[1] ~= ARGV[3] or now[2] then return 'fenced' end
if redis.call('HSETNX', KEYS[2], ARGV[4], ARGV[5]) == 0 then return 'known' end
redis.call('HINCRBY', KEYS[1], 'revision', 1)
redis.call('PUBLISH', ARGV[2], ARGV[1])
return 'published'
