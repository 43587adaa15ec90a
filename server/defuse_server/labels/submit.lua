-- Counts an answer and ends its lease. A repeated call gets the first answer again.
--
-- ARGV  1 number   2 token   3 vote   4 note
-- Returns {outcome, state, answers, wanted}: counted, missing, lost.

local number, token, vote, note = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local task = read_task(number)
if not task then return {'missing', 0, 0, 0} end
local before = position(task.answers, 'token', token)
if before then
  local answer = task.answers[before]
  if answer.vote ~= vote or answer.note ~= note then return {'lost', 0, 0, 0} end
  return {'counted', unpack(answer.reply)}
end
local at = position(task.leases, 'token', token)
if not at then return {'lost', 0, 0, 0} end

local lease = end_lease(number, task, at)
replace_earlier(task, lease.annotator, vote)
local answer = {token = token, annotator = lease.annotator, vote = vote, note = note}
answer.lease_ms, answer.time_ms = lease.lease_ms, now_ms
table.insert(task.answers, answer)
redis.call('HINCRBY', COUNTERS, 'label_answers', 1)
outdate(task)
local shown = task.gold and in_disguise(task, lease, {answer}, {}) or task
local state, wanted = labeling_state(shown)
answer.reply = {state, #shown.answers, wanted}
if not task.gold and state < LABELED and doubtful(task, vote) then
  redis.call('SADD', SEEN, 'recheck:' .. number .. ':' .. lease.annotator)
end
write_task(number, task)
return {'counted', unpack(answer.reply)}
