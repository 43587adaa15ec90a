-- Publishes the outcomes for regions that waited to be split, all at once.
--
-- KEYS  1 hash: the region split   2 hash: the audit   3 hash, region number -> body   4 hash, region number -> predicted class
--       5 hash, task number -> outcome   6 set: names of bugs and regions to be split   7 hash, bug number -> body
-- ARGV  1 name of the region split   2 name of the audit   3 attempt   4 unfinished states   5 file of all regions, or ''
--       6 count of outcomes   7 count of new bugs   8... number, name and outcome of each outcome, then number and body
--       of each new bug, then number, body and predicted class of each new region
-- Returns 1, or -1 if the worker no longer has the job.

if not owns(ARGV[3], ARGV[4]) then return -1 end
local bugs = 8 + 3 * tonumber(ARGV[6])
local parts = bugs + 2 * tonumber(ARGV[7])
for i = 8, bugs - 1, 3 do
  redis.call('HSET', KEYS[5], ARGV[i], ARGV[i + 2])
  redis.call('SREM', KEYS[6], ARGV[i + 1])
end
for i = bugs, parts - 1, 2 do
  redis.call('HSET', KEYS[7], ARGV[i], ARGV[i + 1])
end
for i = parts, #ARGV, 3 do
  redis.call('HSET', KEYS[3], ARGV[i], ARGV[i + 1])
  redis.call('HSET', KEYS[4], ARGV[i], ARGV[i + 2])
end
if ARGV[5] ~= '' then redis.call('HSET', KEYS[2], 'regions_artifact', ARGV[5]) end
redis.call('HSET', KEYS[2], 'region_count', redis.call('HLEN', KEYS[3]))
redis.call('HINCRBY', KEYS[2], 'revision', 1)
redis.call('PUBLISH', CHANGED, ARGV[2])
changed(ARGV[1])
return 1
