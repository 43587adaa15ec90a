-- Makes the tasks of bugs or regions that have none yet.
--
-- ARGV  1 how many answers are wanted   2 how many at most   3 method   4... number, harm and expected vote ('': none), by turns
-- Returns opened, or missing: the audit.

-- Checked here: tasks of an audit that was deleted meanwhile would stay for ever.
if redis.call('EXISTS', KEYS[10]) == 0 then return 'missing' end
for i = 4, #ARGV, 3 do
  if redis.call('HEXISTS', TASKS, ARGV[i]) == 0 then
    local task = {wanted = tonumber(ARGV[1]), limit = tonumber(ARGV[2]), method = ARGV[3], harm = ARGV[i + 1]}
    if ARGV[i + 2] ~= '' then task.expected = ARGV[i + 2] end
    task.version, task.leases, task.answers, task.skips = 0, {}, {}, {}
    write_task(ARGV[i], task)
  end
end
return 'opened'
