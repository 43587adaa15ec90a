-- Puts bugs' tasks into an order that was computed from the answers.
--
-- ARGV  1... numbers, those to ask about first in front
-- Returns ordered, or missing: the audit.

-- Checked here: ranks of an audit that was deleted meanwhile would stay for ever.
if redis.call('EXISTS', KEYS[10]) == 0 then return 'missing' end
for i = 1, #ARGV do
  -- Any rank is below minus a harm, so tasks without one come last.
  local rank = i - #ARGV - 2
  redis.call('HSET', RANKS, ARGV[i], rank)
  -- One that is leased meanwhile has no place. It gets its rank when it has one again.
  redis.call('ZADD', PLACES, 'XX', rank, string.format('%09d', ARGV[i]))
end
return 'ordered'
