-- Gives a task back for good. A repeated call gets the first answer again.
--
-- ARGV  1 number   2 token   3 reason
-- Returns {outcome, state}: skipped, missing, lost.

local number, token, reason = ARGV[1], ARGV[2], ARGV[3]
local task = read_task(number)
if not task then return {'missing', 0} end
local before = position(task.skips, 'token', token)
if before then
  local skip = task.skips[before]
  if skip.reason ~= reason then return {'lost', 0} end
  return {'skipped', skip.state}
end
local at = position(task.leases, 'token', token)
if not at then return {'lost', 0} end
local skip = {token = token, annotator = end_lease(number, task, at).annotator, reason = reason, time_ms = now_ms}
skip.state = task.gold and UNLABELED or (labeling_state(task))
table.insert(task.skips, skip)
write_task(number, task)
return {'skipped', skip.state}
