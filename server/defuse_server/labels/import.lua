-- Counts a vote that was given in another tool, once for each annotation.
--
-- KEYS  as all; the last: hash, annotation -> "number:vote" of those that were counted
-- ARGV  1 region number   2 annotation   3 annotator   4 vote   5 note
-- Returns counted; known (this annotation was, and stays so when its answer is taken back); changed (it was, with
-- another vote or region, and that answer stands); missing (the region); answered (by this annotator); closed (it is
-- decided); full (no place is free, and that may change).

local IMPORTS = KEYS[#KEYS]
local number, annotation, annotator, vote, note = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local counted = number .. ':' .. vote
local before = redis.call('HGET', IMPORTS, annotation)
if before == counted then return 'known' end
local token = 'import/' .. annotation
if before then
  local earlier = read_task(before:match('^%d+'))
  if earlier and position(earlier.answers, 'token', token) then return 'changed' end
end
local task = read_task(number)
if not task or task.gold then return 'missing' end
if position(task.answers, 'annotator', annotator) then return 'answered' end
-- The annotator's own place is the one that this vote takes.
local own = position(task.leases, 'annotator', annotator)
if own then
  end_lease(number, task, own)
else
  local state, wanted = labeling_state(task)
  if state >= LABELED then return 'closed' end
  if #task.answers + #task.leases >= wanted then return 'full' end
end

local answer = {token = token, annotator = annotator, vote = vote, note = note}
answer.lease_ms, answer.time_ms = 0, now_ms
table.insert(task.answers, answer)
outdate(task)
remember(annotator, number, true)
redis.call('SADD', SEEN, number .. ':' .. annotator)
local state, wanted = labeling_state(task)
answer.reply = {state, #task.answers, wanted}
write_task(number, task)
redis.call('HSET', IMPORTS, annotation, counted)
return 'counted'
