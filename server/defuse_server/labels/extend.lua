-- Extends a lease from now.
--
-- ARGV  1 region number   2 token   3 duration in ms
-- Returns {outcome, end in ms}: extended, missing, lost.

local task = read_task(ARGV[1])
if not task then return {'missing', 0} end
local at = position(task.leases, 'token', ARGV[2])
if not at then return {'lost', 0} end
local expire_ms = now_ms + tonumber(ARGV[3])
task.leases[at].expire_ms = expire_ms
redis.call('ZADD', LEASES, expire_ms, ARGV[1] .. ':' .. ARGV[2])
write_task(ARGV[1], task)
return {'extended', expire_ms}
