-- Returns a task by the token of its lease.
--
-- ARGV  1 number   2 token
-- Returns {outcome, end in ms, answers, wanted}: held, missing, lost.

local task = read_task(ARGV[1])
if not task then return {'missing', 0, 0, 0} end
local at = position(task.leases, 'token', ARGV[2])
if not at then return {'lost', 0, 0, 0} end
local lease = task.leases[at]
local shown = task.gold and in_disguise(task, lease, {}, {lease}) or task
local _, wanted = labeling_state(shown)
return {'held', lease.expire_ms, #shown.answers, wanted}
