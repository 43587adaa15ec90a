-- Takes the worker's verdicts on answers that are still the same; what is decided stays.
--
-- ARGV  1 time of the last change that the worker had seen   2... number, version and vote, by turns
-- Returns how many were taken.

local taken = 0
for i = 2, #ARGV, 3 do
  local task = read_task(ARGV[i])
  if task and task.version == tonumber(ARGV[i + 1]) and standing(task) < LABELED then
    task.verdict = {version = task.version, vote = ARGV[i + 2]}
    write_task(ARGV[i], task)
    taken = taken + 1
  end
end
-- Whatever came meanwhile is judged next.
if redis.call('HGET', UNJUDGED, AUDIT) == ARGV[1] then redis.call('HDEL', UNJUDGED, AUDIT) end
return taken
