-- Takes the regions that wait. From then on, the annotators' answers to them stay.
--
-- KEYS  1 hash: the region split   2 set: names of regions to be split   3 set: numbers of regions whose label is used
-- ARGV  1 attempt   2 unfinished states   3... name and number of each region, by turns
-- Returns the numbers of the regions that still wait, or nil if the worker no longer has the job.

if not owns(ARGV[1], ARGV[2]) then return nil end
local taken = {}
for i = 3, #ARGV, 2 do
  if redis.call('SISMEMBER', KEYS[2], ARGV[i]) == 1 then
    redis.call('SADD', KEYS[3], ARGV[i + 1])
    table.insert(taken, ARGV[i + 1])
  end
end
return taken
