-- Counts a vote from another tool, once for each annotation.
--
-- KEYS  as all; the last: hash, annotation -> "number:vote" of those that were counted
-- ARGV  1 region number   2 annotation   3 annotator   4 vote   5 note
-- Returns counted; known (this annotation was counted, even if its answer was taken back since); changed (it was counted
-- with another vote or region, and that answer stays); missing (the region); answered (by this annotator); closed (the
-- region is decided); full (no place is free for now).

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
-- The vote takes the annotator's own place, if there is one.
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
redis.call('HINCRBY', COUNTERS, 'label_answers', 1)
outdate(task)
redis.call('SADD', SEEN, number .. ':' .. annotator)
local state, wanted = labeling_state(task)
answer.reply = {state, #task.answers, wanted}
write_task(number, task)
redis.call('HSET', IMPORTS, annotation, counted)
return 'counted'
