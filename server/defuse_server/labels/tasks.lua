-- What all label scripts share; each is this file and then its own.
--
-- KEYS  1 hash, region number -> JSON of a task   2 hash, region number -> "state:answers:wanted:label:for:votes"
--       3 sorted set: regions with a free place (nine digits), by -harm   4 sorted set, "number:token" -> end in ms
--       5 set: numbers of regions whose label a correction or a split used
--       6 set: "number:annotator" of those who have had it,
--       "again:number:annotator" of those who gave a gold task back
--       7 hash, annotator -> JSON list of the numbers that they answered   8 hash, number of a gold task -> its body
--       9 hash, audit -> time of the last change that no worker has judged   10 set: names of regions to be split
--       11 hash: the audit's record
-- ARGV  first the audit's name and the channel of changes; each script counts its own behind them
--
-- A task: {"wanted": 3, "limit": 5, "method": "majority" or "dawid_skene", "harm": "0.1", "version": 2,
--          "gold": known vote (gold tasks only),
--          "leases": [{"token", "annotator", "lease_ms", "expire_ms"}],
--          "answers": [{"token", "annotator", "vote", "note", "lease_ms" (0: imported), "time_ms", "reply"}],
--          "skips": [{"token", "annotator", "reason", "time_ms"}],
--          "verdict": {"version", "vote"} (dawid_skene only)}
-- with vote "0", "1", ... (a class), "mixed", "invalid" or "cannot_tell"; `reply` is what the annotator was answered;
-- `version` counts the changes of the answers. A verdict is the worker's, of the answers of its version: a vote, ""
-- (ask one more), or "majority". A gold task has places for everyone, and stands in neither 2 nor 3. It is shown as if
-- it had the answers of the region that would have come in its place: the votes in its lease's list "like".

local AUDIT, CHANGED = table.remove(ARGV, 1), table.remove(ARGV, 1)
local TASKS, STATES, PLACES, LEASES, FROZEN = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local SEEN, HISTORY, GOLD, UNJUDGED, MIXED_ONES = KEYS[6], KEYS[7], KEYS[8], KEYS[9], KEYS[10]
-- Numbers of defuse.v1.RegionState.
local UNLABELED, LEASED, LABELED, MIXED, INVALID, SET_ASIDE = 1, 2, 3, 4, 5, 6

local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)

local function read_task(number)
  local text = redis.call('HGET', TASKS, number)
  return text and cjson.decode(text)
end

-- How many vote, how many for each answer, and which is the most frequent ('' without votes).
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

-- The vote of more than half of those who vote, or ''. Where more than half can't tell, one more shall be asked.
local function majority(task)
  local votes, counts, leader = tally(task.answers)
  if 2 * (counts[leader] or 0) <= votes then return '' end
  if 2 * votes < #task.answers and #task.answers < task.limit then return '' end
  return leader
end

-- The vote that decides; '' where none does; nil where the worker has not judged these answers.
local function decision(task)
  if task.method ~= 'dawid_skene' then return majority(task) end
  local verdict = task.verdict
  if not verdict or verdict.version ~= task.version then return nil end
  if verdict.vote == 'majority' then return majority(task) end
  return verdict.vote
end

-- The state, how many answers are wanted in all so far, and the vote that decided ('' where none did). A function of
-- the answers and leases alone: an answer that is taken back leaves no trace.
local function standing(task)
  local count = #task.answers
  if count < task.wanted then return #task.leases > 0 and LEASED or UNLABELED, task.wanted, '' end
  -- Who holds a lease may still answer; nothing is decided behind their back.
  if #task.leases > 0 then return LEASED, count + #task.leases, '' end
  local vote = decision(task)
  if not vote then return UNLABELED, count, '' end
  if vote == '' and count < task.limit then return UNLABELED, count + 1, '' end
  local states = {[''] = SET_ASIDE, mixed = MIXED, invalid = INVALID}
  return states[vote] or LABELED, count, vote
end

-- A gold task as an annotator shall see it, beside the answers and leases that are given.
local function in_disguise(task, lease, answers, leases)
  local shown = {wanted = task.wanted, limit = task.limit, method = task.method, version = 1}
  shown.answers, shown.leases = {}, leases
  for _, vote in ipairs(lease.like) do table.insert(shown.answers, {vote = vote}) end
  for _, answer in ipairs(answers) do table.insert(shown.answers, answer) end
  return shown
end

-- Tells who waits for it that a region was decided, or is open again.
local function notice(number, state)
  local before = tonumber((redis.call('HGET', STATES, number) or '0'):match('^%d+'))
  if state == before or (state < LABELED and before < LABELED) then return end
  local name = AUDIT .. '/regions/' .. number
  if state == MIXED then redis.call('SADD', MIXED_ONES, name) end
  if before == MIXED then redis.call('SREM', MIXED_ONES, name) end
  redis.call('PUBLISH', CHANGED, name)
end

-- Returns the state and how many answers are wanted; of a gold task those of a region that nobody has answered.
local function write_task(number, task)
  redis.call('HSET', TASKS, number, cjson.encode(task))
  if task.gold then return UNLABELED, task.wanted end
  local state, wanted, vote = standing(task)
  local votes, counts, leader = tally(task.answers)
  local agreeing = counts[vote ~= '' and vote or leader] or 0
  local label = state == LABELED and vote or ''
  notice(number, state)
  redis.call('HSET', STATES, number, table.concat({state, #task.answers, wanted, label, agreeing, votes}, ':'))
  local place = string.format('%09d', number)
  if #task.answers + #task.leases < wanted then
    redis.call('ZADD', PLACES, '-' .. task.harm, place)
  else
    redis.call('ZREM', PLACES, place)
  end
  return state, wanted
end

-- After the answers changed.
local function outdate(task)
  task.version = task.version + 1
  if task.method == 'dawid_skene' then redis.call('HSET', UNJUDGED, AUDIT, time[1] .. '.' .. time[2]) end
end

-- Where in a list of leases, answers or skips an entry has this value; nil where none has.
local function position(entries, field, value)
  for i, entry in ipairs(entries) do
    if entry[field] == value then return i end
  end
end

-- Ends a lease, and returns it. Its annotator does not get the task again.
local function end_lease(number, task, at)
  redis.call('ZREM', LEASES, number .. ':' .. task.leases[at].token)
  return table.remove(task.leases, at)
end

-- Lets an annotator have a task again: a gold one at once, as happens with the region that has the largest harm.
local function hand_back(number, task, annotator)
  redis.call('SREM', SEEN, number .. ':' .. annotator)
  if task.gold then redis.call('SADD', SEEN, 'again:' .. number .. ':' .. annotator) end
end

-- Ends a lease of which nothing came.
local function take_back(number, task, at)
  hand_back(number, task, end_lease(number, task, at).annotator)
end

-- Changes the list of what an annotator answered, the last one last.
local function remember(annotator, number, answered)
  local numbers = cjson.decode(redis.call('HGET', HISTORY, annotator) or '[]')
  for i = #numbers, 1, -1 do
    if numbers[i] == number then table.remove(numbers, i) end
  end
  if answered then table.insert(numbers, number) end
  redis.call('HSET', HISTORY, annotator, #numbers > 0 and cjson.encode(numbers) or '[]')
end

-- First of all in every script: a lease that is over is nobody's, whoever looks.
for _, entry in ipairs(redis.call('ZRANGEBYSCORE', LEASES, '-inf', now_ms)) do
  local number, token = entry:match('^(%d+):(.*)$')
  local task = read_task(number)
  take_back(number, task, position(task.leases, 'token', token))
  write_task(number, task)
end
