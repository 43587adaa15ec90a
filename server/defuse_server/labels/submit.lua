-- Counts an answer and ends its lease; the same again is answered like the first.
--
-- ARGV  1 region number   2 token   3 vote   4 note   5 name of the region
-- Returns {outcome, state, answers, wanted}: counted, missing, lost.

local number, token, vote, note = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local task = read_task(number)
if not task then return {'missing', 0, 0, 0} end
local before = position(task.answers, 'token', token)
if before then
  local answer = task.answers[before]
  if answer.vote ~= vote or answer.note ~= note then return {'lost', 0, 0, 0} end
  return {'counted', answer.state, answer.count, task.wanted}
end
local at = position(task.leases, 'token', token)
if not at then return {'lost', 0, 0, 0} end

local answer = {token = token, annotator = task.leases[at].annotator, vote = vote, note = note, time_ms = now_ms}
end_lease(number, task, at)
table.insert(task.answers, answer)
answer.state, answer.count = standing(task), #task.answers
if write_task(number, task) == MIXED then redis.call('SADD', MIXED_ONES, ARGV[5]) end
return {'counted', answer.state, answer.count, task.wanted}
