-- Leases tasks to an annotator, in the order of their places, and none that they have had. Gold tasks are mixed in.
--
-- ARGV  1 annotator   2 duration in ms   3 share of gold tasks
--       4 '1' first hands back what the annotator holds, '' doesn't
--       5... a token and a random number in [0, 1) for each task that is wanted at most
-- Returns a list of {number, token, end in ms, state, answers, wanted}.

local annotator, gold_rate = ARGV[1], tonumber(ARGV[3])
local most = (#ARGV - 4) / 2
local leased = {}

-- Returns the numbers for which SEEN has an entry of the annotator (wanted: 1), or has none (wanted: 0).
local function among(numbers, prefix, wanted)
  local found = {}
  for first = 1, #numbers, 500 do
    local members = {}
    for i = first, math.min(first + 499, #numbers) do
      table.insert(members, string.format('%s%d:%s', prefix, numbers[i], annotator))
    end
    for i, seen in ipairs(redis.call('SMISMEMBER', SEEN, unpack(members))) do
      if seen == wanted then table.insert(found, string.format('%d', numbers[first + i - 1])) end
    end
  end
  return found
end

-- `instead` is the number of the region in whose place a gold task comes, if there is one.
local function hand_out(number, instead)
  local task, token = read_task(number), ARGV[5 + 2 * #leased]
  local expire_ms = now_ms + tonumber(ARGV[2])
  local lease = {token = token, annotator = annotator, lease_ms = now_ms, expire_ms = expire_ms}
  if task.gold then
    lease.like = {}
    for _, answer in ipairs(instead and read_task(instead).answers or {}) do table.insert(lease.like, answer.vote) end
  end
  table.insert(task.leases, lease)
  redis.call('ZADD', LEASES, expire_ms, number .. ':' .. token)
  redis.call('SADD', SEEN, number .. ':' .. annotator)
  redis.call('SREM', SEEN, 'again:' .. number .. ':' .. annotator, 'recheck:' .. number .. ':' .. annotator)
  write_task(number, task)
  local shown = task.gold and in_disguise(task, lease, {}, {lease}) or task
  local _, wanted = labeling_state(shown)
  table.insert(leased, {number, token, expire_ms, LEASED, #shown.answers, wanted})
end

if ARGV[4] == '1' then
  for _, entry in ipairs(redis.call('ZRANGE', LEASES, 0, -1)) do
    local number, token = entry:match('^(%d+):(.*)$')
    local task = read_task(number)
    local at = position(task.leases, 'token', token)
    if task.leases[at].annotator == annotator then
      take_back(number, task, at)
      write_task(number, task)
    end
  end
end
local places = redis.call('ZRANGE', PLACES, 0, -1)
local regions = among(places, '', 0)
-- What they answered against all belief is asked again at the end.
for _, number in ipairs(among(places, 'recheck:', 1)) do table.insert(regions, number) end
local golds = among(redis.call('HKEYS', GOLD), '', 0)
for _, number in ipairs(among(golds, 'again:', 1)) do
  if #leased < most then hand_out(number, regions[1]) end
end
golds = among(golds, '', 0)
local next_region = 1
-- A new gold task comes only while a region is left.
while #leased < most and regions[next_region] do
  local draw = tonumber(ARGV[6 + 2 * #leased])
  if draw < gold_rate and #golds > 0 then
    hand_out(table.remove(golds, 1 + math.floor(draw / gold_rate * #golds)), regions[next_region])
  else
    hand_out(regions[next_region])
    next_region = next_region + 1
  end
end
return leased
