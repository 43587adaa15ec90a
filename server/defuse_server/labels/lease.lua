-- Leases free places to an annotator, the lowest region numbers first, never two of one region.
--
-- ARGV  1 annotator   2 duration in ms   3... as many tokens as tasks are wanted at most
-- Returns a list of {region number, token, end in ms, state, answers, wanted}.

local annotator, expire_ms = ARGV[1], now_ms + tonumber(ARGV[2])
local leased = {}
for _, number in ipairs(redis.call('ZRANGE', PLACES, 0, -1)) do
  if #leased == #ARGV - 2 then break end
  local task = read_task(number)
  if not position(task.leases, 'annotator', annotator) and not position(task.answers, 'annotator', annotator) then
    local token = ARGV[3 + #leased]
    table.insert(task.leases, {token = token, annotator = annotator, expire_ms = expire_ms})
    redis.call('ZADD', LEASES, expire_ms, number .. ':' .. token)
    table.insert(leased, {number, token, expire_ms, write_task(number, task), #task.answers, task.wanted})
  end
end
return leased
