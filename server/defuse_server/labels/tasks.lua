-- What all label scripts share; each is this file and then its own.
--
-- KEYS  1 hash, region number -> JSON of a task   2 hash, region number -> "state:answers:wanted:label:for:votes"
--       3 sorted set: regions with a free place (nine digits), by their rank, or by -harm if they have none   4 sorted set, "number:token" -> end in ms
--       5 set: numbers of regions whose label a correction or a split used
--       6 set: "number:annotator" for tasks that an annotator has had,
--       "again:number:annotator" for gold tasks that an annotator gave back,
--       "recheck:number:annotator" for tasks that an annotator is asked again, after all others
--       7 hash, number of a gold task -> its body
--       8 hash, audit -> time of the last change that waits for an estimate   9 set: names of regions to be split
--       10 hash: the audit's record   11 hash, number -> rank of a task that order.lua has put into an order
--       12 hash: counters of the service
-- ARGV  first the audit's name and the channel of changes; each script counts its own behind them
--
-- A task: {"wanted": 3, "limit": 5, "method": "majority" or "dawid_skene", "harm": "0.1", "version": 2,
--          "expected": the vote that the search believes in (tasks of bugs only),
--          "gold": known vote (gold tasks only),
--          "leases": [{"token", "annotator", "lease_ms", "expire_ms"}],
--          "withdrawn": answers whose annotators answered differently when they were asked again,
--          "answers": [{"token", "annotator", "vote", "note", "lease_ms" (0: imported), "time_ms", "reply"}],
--          "skips": [{"token", "annotator", "reason", "time_ms"}],
--          "verdict": {"version", "vote"} (dawid_skene only)}
-- A vote is "0", "1", ... (a class), "mixed", "invalid" or "cannot_tell". `reply` is what the annotator was answered.
-- `version` counts the changes of the answers. "verdict" holds the worker's consensus estimate for the answers of that
-- version: a vote, "" (ask one more annotator), or "majority". A gold task has a place for everyone, so it is in neither
-- 2 nor 3. It looks as if it had the answers of the region in whose place it came: the votes in its lease's list "like".

local AUDIT, CHANGED = table.remove(ARGV, 1), table.remove(ARGV, 1)
local TASKS, STATES, PLACES, LEASES, FROZEN = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local SEEN, GOLD, ESTIMATES_DUE, TO_SPLIT, RANKS = KEYS[6], KEYS[7], KEYS[8], KEYS[9], KEYS[11]
local COUNTERS = KEYS[12]
-- Numbers of tasks of bugs begin here.
local FIRST_BUG = 10000000
-- Numbers of defuse.v1.RegionState.
local UNLABELED, LEASED, LABELED, MIXED, INVALID, SET_ASIDE = 1, 2, 3, 4, 5, 6

local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)

local function read_task(number)
  local text = redis.call('HGET', TASKS, number)
  return text and cjson.decode(text)
end

-- Returns the number of votes, the number for each answer, and the most frequent answer ('' without votes).
local function tally(answers)
  local votes, counts, leader = 0, {}, ''
  for _, answer in ipairs(answers) do
    if answer.vote ~= 'cannot_tell' then
      votes = votes + 1
      counts[answer.vote] = (counts[answer.vote] or 0) + 1
      if counts[answer.vote] > (counts[leader] or 0) then leader = answer.vote end
    end
  end
  return votes, counts, leader
end

-- Returns the vote that more than half of the voters gave, or ''. If more than half of the annotators can't tell, one more
-- is asked first.
local function majority(task)
  local votes, counts, leader = tally(task.answers)
  if 2 * (counts[leader] or 0) <= votes then return '' end
  if 2 * votes < #task.answers and #task.answers < task.limit then return '' end
  return leader
end

-- Returns the vote that decides, '' if none does, or nil if no worker has estimated these answers yet.
local function decision(task)
  if task.method ~= 'dawid_skene' then return majority(task) end
  local verdict = task.verdict
  if not verdict or verdict.version ~= task.version then return nil end
  if verdict.vote == 'majority' then return majority(task) end
  return verdict.vote
end

-- Tells whether a vote decides although it contradicts what the search believes, and only one annotator gave it.
local function doubtful(task, vote)
  if not task.expected or not tonumber(vote) or vote == task.expected then return false end
  local _, counts = tally(task.answers)
  return (counts[vote] or 0) < 2
end

-- Returns the state, the number of answers wanted so far, and the vote that decided ('' if none did). It depends on the
-- answers and leases alone, so an answer that is taken back leaves no trace.
local function labeling_state(task)
  local count = #task.answers
  if count < task.wanted then return #task.leases > 0 and LEASED or UNLABELED, task.wanted, '' end
  -- An annotator who holds a lease may still answer, so nothing is decided before that.
  if #task.leases > 0 then return LEASED, count + #task.leases, '' end
  local vote = decision(task)
  if not vote then return UNLABELED, count, '' end
  if vote == '' and count < task.limit then return UNLABELED, count + 1, '' end
  if doubtful(task, vote) then
    if count < math.max(task.limit, 2) then return UNLABELED, count + 1, '' end
    vote = ''
  end
  local states = {[''] = SET_ASIDE, mixed = MIXED, invalid = INVALID}
  return states[vote] or LABELED, count, vote
end

-- Returns a gold task as an annotator sees it, with the given answers and leases.
local function in_disguise(task, lease, answers, leases)
  local shown = {wanted = task.wanted, limit = task.limit, method = task.method, version = 1}
  shown.answers, shown.leases = {}, leases
  for _, vote in ipairs(lease.like) do table.insert(shown.answers, {vote = vote}) end
  for _, answer in ipairs(answers) do table.insert(shown.answers, answer) end
  return shown
end

-- Returns the name of what a task is about; names.py has the same rule.
local function task_name(number)
  if tonumber(number) < FIRST_BUG then return AUDIT .. '/regions/' .. number end
  return string.format('%s/bugs/%d', AUDIT, tonumber(number) - FIRST_BUG)
end

-- Publishes that a region was decided, or that it is open again.
local function notice(number, state)
  local before = tonumber((redis.call('HGET', STATES, number) or '0'):match('^%d+'))
  if state == before or (state < LABELED and before < LABELED) then return end
  local name = task_name(number)
  if state == MIXED then redis.call('SADD', TO_SPLIT, name) end
  if before == MIXED then redis.call('SREM', TO_SPLIT, name) end
  redis.call('PUBLISH', CHANGED, name)
end

-- Returns the state and the number of answers wanted. A gold task returns those of a region without answers.
local function write_task(number, task)
  redis.call('HSET', TASKS, number, cjson.encode(task))
  if task.gold then return UNLABELED, task.wanted end
  local state, wanted, vote = labeling_state(task)
  local votes, counts, leader = tally(task.answers)
  local agreeing = counts[vote ~= '' and vote or leader] or 0
  local label = state == LABELED and vote or ''
  notice(number, state)
  redis.call('HSET', STATES, number, table.concat({state, #task.answers, wanted, label, agreeing, votes}, ':'))
  local place = string.format('%09d', number)
  if #task.answers + #task.leases < wanted then
    redis.call('ZADD', PLACES, redis.call('HGET', RANKS, number) or '-' .. task.harm, place)
  else
    redis.call('ZREM', PLACES, place)
  end
  return state, wanted
end

-- Call this after the answers have changed.
local function outdate(task)
  task.version = task.version + 1
  if task.method == 'dawid_skene' then redis.call('HSET', ESTIMATES_DUE, AUDIT, time[1] .. '.' .. time[2]) end
end

-- Returns the position of the entry with this value in a list of leases, answers or skips, or nil.
local function position(entries, field, value)
  for i, entry in ipairs(entries) do
    if entry[field] == value then return i end
  end
end

-- Withdraws an annotator's earlier answer if they answer differently now. It is kept in the list "withdrawn".
local function replace_earlier(task, annotator, vote)
  local at = position(task.answers, 'annotator', annotator)
  if not at or task.answers[at].vote == vote then return end
  task.withdrawn = task.withdrawn or {}
  table.insert(task.withdrawn, table.remove(task.answers, at))
end

-- Ends a lease and returns it. Its annotator does not get the task again.
local function end_lease(number, task, at)
  redis.call('ZREM', LEASES, number .. ':' .. task.leases[at].token)
  return table.remove(task.leases, at)
end

-- Lets an annotator have a task again. A gold task comes next, as the region with the largest harm would.
local function hand_back(number, task, annotator)
  redis.call('SREM', SEEN, number .. ':' .. annotator)
  if task.gold then redis.call('SADD', SEEN, 'again:' .. number .. ':' .. annotator) end
end

-- Ends a lease without an answer.
local function take_back(number, task, at)
  hand_back(number, task, end_lease(number, task, at).annotator)
end

-- Every script begins by taking back the leases that have ended.
for _, entry in ipairs(redis.call('ZRANGEBYSCORE', LEASES, '-inf', now_ms)) do
  local number, token = entry:match('^(%d+):(.*)$')
  local task = read_task(number)
  take_back(number, task, position(task.leases, 'token', token))
  redis.call('HINCRBY', COUNTERS, 'label_leases_expired', 1)
  write_task(number, task)
end
