-- Makes the gold tasks that don't exist yet.
--
-- ARGV  1 how many answers a region wants   2 how many at most   3 method   4... number, known vote and body, by turns
-- Returns opened, or missing: the audit.

-- Checked here: tasks of an audit that was deleted meanwhile would stay for ever.
if redis.call('EXISTS', KEYS[10]) == 0 then return 'missing' end
for i = 4, #ARGV, 3 do
  if redis.call('HSETNX', GOLD, ARGV[i], ARGV[i + 2]) == 1 then
    local task = {wanted = tonumber(ARGV[1]), limit = tonumber(ARGV[2]), method = ARGV[3], gold = ARGV[i + 1]}
    task.version, task.leases, task.answers, task.skips = 0, {}, {}, {}
    write_task(ARGV[i], task)
  end
end
return 'opened'
