-- Gives a task back unanswered.
--
-- ARGV  1 number   2 token
-- Returns {outcome, state}: released, missing, lost.

local task = read_task(ARGV[1])
if not task then return {'missing', 0} end
local at = position(task.leases, 'token', ARGV[2])
if not at then return {'lost', 0} end
take_back(ARGV[1], task, at)
return {'released', (write_task(ARGV[1], task))}
