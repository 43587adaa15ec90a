-- Looks at a task by the token of its lease.
--
-- ARGV  1 number   2 token
-- Returns {outcome, end in ms, answers, wanted}: held, missing, lost.

local task = read_task(ARGV[1])
if not task then return {'missing', 0, 0, 0} end
local at = position(task.leases, 'token', ARGV[2])
if not at then return {'lost', 0, 0, 0} end
if task.gold then return {'held', task.leases[at].expire_ms, 0, task.wanted} end
local _, wanted = standing(task)
return {'held', task.leases[at].expire_ms, #task.answers, wanted}
