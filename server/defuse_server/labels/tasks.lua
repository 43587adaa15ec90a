-- What all label scripts share; each is this file and then its own.
--
-- KEYS  1 hash, region number -> JSON of a task   2 hash, region number -> "state:answers:wanted:label"
--       3 sorted set: numbers of regions with a free place   4 sorted set, "number:token" -> end in ms
--       5 set: numbers of regions whose label a correction or a split used   6 set: names of regions to be split
--
-- A task: {"wanted": 3, "leases": [{"token", "annotator", "expire_ms"}],
--          "answers": [{"token", "annotator", "vote", "note", "state", "count", "time_ms"}]}
-- with vote "0", "1", ... (a class), "mixed", "invalid" or "cannot_tell"; `state` and `count` are what the
-- annotator was answered. Places that are neither leased nor answered are free.

local TASKS, STATES, PLACES, LEASES, FROZEN, MIXED_ONES = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
-- Numbers of defuse.v1.RegionState.
local UNLABELED, LEASED, LABELED, MIXED, INVALID, SET_ASIDE = 1, 2, 3, 4, 5, 6

local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)

local function read_task(number)
  local text = redis.call('HGET', TASKS, number)
  return text and cjson.decode(text)
end

-- More than half of the votes decide; who can't tell does not vote.
local function consensus(answers)
  local votes, counts = 0, {}
  for _, answer in ipairs(answers) do
    if answer.vote ~= 'cannot_tell' then
      votes = votes + 1
      counts[answer.vote] = (counts[answer.vote] or 0) + 1
    end
  end
  for vote, count in pairs(counts) do
    if 2 * count > votes then
      if vote == 'mixed' then return MIXED, '' end
      if vote == 'invalid' then return INVALID, '' end
      return LABELED, vote
    end
  end
  return SET_ASIDE, ''
end

local function standing(task)
  if #task.answers >= task.wanted then return consensus(task.answers) end
  if #task.leases > 0 then return LEASED, '' end
  return UNLABELED, ''
end

local function write_task(number, task)
  local state, label = standing(task)
  redis.call('HSET', TASKS, number, cjson.encode(task))
  redis.call('HSET', STATES, number, table.concat({state, #task.answers, task.wanted, label}, ':'))
  if #task.answers + #task.leases < task.wanted then
    redis.call('ZADD', PLACES, number, number)
  else
    redis.call('ZREM', PLACES, number)
  end
  return state
end

-- Where in a list of leases or answers an entry has this value; nil where none has.
local function position(entries, field, value)
  for i, entry in ipairs(entries) do
    if entry[field] == value then return i end
  end
end

local function end_lease(number, task, at)
  redis.call('ZREM', LEASES, number .. ':' .. task.leases[at].token)
  table.remove(task.leases, at)
end

-- First of all in every script: a lease that is over is nobody's, whoever looks.
for _, entry in ipairs(redis.call('ZRANGEBYSCORE', LEASES, '-inf', now_ms)) do
  local number, token = entry:match('^(%d+):(.*)$')
  local task = read_task(number)
  end_lease(number, task, position(task.leases, 'token', token))
  write_task(number, task)
end
