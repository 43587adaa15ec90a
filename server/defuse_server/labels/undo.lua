-- Takes an annotator's answer back: before the consensus, or where no other vote stands behind it and neither a
-- correction nor a split used it.
--
-- ARGV  1 region number   2 annotator   3 name of the region
-- Returns {outcome, state}: undone, missing (the region or the answer), closed.

local task = read_task(ARGV[1])
local at = task and position(task.answers, 'annotator', ARGV[2])
if not at then return {'missing', 0} end
if #task.answers >= task.wanted then
  if redis.call('SISMEMBER', FROZEN, ARGV[1]) == 1 then return {'closed', 0} end
  for i, answer in ipairs(task.answers) do
    if i ~= at and answer.vote ~= 'cannot_tell' then return {'closed', 0} end
  end
end
table.remove(task.answers, at)
redis.call('SREM', MIXED_ONES, ARGV[3])
return {'undone', write_task(ARGV[1], task)}
