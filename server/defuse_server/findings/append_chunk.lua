-- Publishes a reference to a chunk once, if the worker still has the job.
--
-- KEYS  1 hash: the audit   2 hash, shard number -> reference
-- ARGV  1 name of the audit   2 channel of changes   3 attempt   4 shard number   5 reference   6 records
--       7 candidates   8 seeds
-- Returns published, known, fenced, or gap (the shard before is not there yet).

local now = redis.call('HMGET', KEYS[1], 'attempt', 'end_ms')
if now[1] ~= ARGV[3] or now[2] then return 'fenced' end
if redis.call('HEXISTS', KEYS[2], ARGV[4]) == 1 then return 'known' end
if redis.call('HLEN', KEYS[2]) ~= tonumber(ARGV[4]) then return 'gap' end
redis.call('HSET', KEYS[2], ARGV[4], ARGV[5])
redis.call('HINCRBY', KEYS[1], 'misclassification_count', ARGV[6])
redis.call('HINCRBY', KEYS[1], 'candidate_count', ARGV[7])
redis.call('HINCRBY', KEYS[1], 'seed_count', ARGV[8])
redis.call('HINCRBY', KEYS[1], 'revision', 1)
redis.call('PUBLISH', ARGV[2], ARGV[1])
return 'published'
