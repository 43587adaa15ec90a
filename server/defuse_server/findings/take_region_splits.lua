-- Takes the regions that wait: what annotators answered to them stays.
--
-- KEYS  1 hash: the split   2 set: names of regions to be split   3 set: numbers of regions whose label is used
-- ARGV  1 attempt   2 unfinished states   3... name and number of each region, by turns
-- Returns the numbers of those that wait still; nil to a worker that no longer has the job.

if not owns(ARGV[1], ARGV[2]) then return nil end
local taken = {}
for i = 3, #ARGV, 2 do
  if redis.call('SISMEMBER', KEYS[2], ARGV[i]) == 1 then
    redis.call('SADD', KEYS[3], ARGV[i + 1])
    table.insert(taken, ARGV[i + 1])
  end
end
return taken
