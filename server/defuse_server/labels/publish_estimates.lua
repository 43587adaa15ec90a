-- Publishes a worker's consensus estimates. An estimate for answers that have changed since is ignored, and so is one for
-- a region that is decided.
--
-- ARGV  1 time of the last change that the worker had seen   2... number, version and vote, by turns
-- Returns how many were published.

local published = 0
for i = 2, #ARGV, 3 do
  local task = read_task(ARGV[i])
  if task and task.version == tonumber(ARGV[i + 1]) and labeling_state(task) < LABELED then
    task.verdict = {version = task.version, vote = ARGV[i + 2]}
    write_task(ARGV[i], task)
    published = published + 1
  end
end
-- Answers that came meanwhile are estimated next.
if redis.call('HGET', ESTIMATES_DUE, AUDIT) == ARGV[1] then redis.call('HDEL', ESTIMATES_DUE, AUDIT) end
return published
