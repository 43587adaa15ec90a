-- Takes an annotator's answer back. After the consensus this is possible only if the answer decided alone, and neither a
-- correction nor a region split has used it.
--
-- ARGV  1 number   2 annotator
-- Returns {outcome, state}: undone, missing (the region or the answer), closed.

local number, annotator = ARGV[1], ARGV[2]
local task = read_task(number)
local at = task and position(task.answers, 'annotator', annotator)
if not at then return {'missing', 0} end
if not task.gold and labeling_state(task) >= LABELED then
  if redis.call('SISMEMBER', FROZEN, number) == 1 then return {'closed', 0} end
  for i, answer in ipairs(task.answers) do
    if i ~= at and answer.vote ~= 'cannot_tell' then return {'closed', 0} end
  end
end
table.remove(task.answers, at)
outdate(task)
hand_back(number, task, annotator)
return {'undone', (write_task(number, task))}
