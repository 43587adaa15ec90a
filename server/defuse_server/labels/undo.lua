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
  for _, answer in ipairs(task.answers) do
    if answer.annotator ~= annotator and answer.vote ~= 'cannot_tell' then return {'closed', 0} end
  end
end
-- Who was asked again has two.
while at do
  table.remove(task.answers, at)
  at = position(task.answers, 'annotator', annotator)
end
outdate(task)
hand_back(number, task, annotator)
return {'undone', (write_task(number, task))}
