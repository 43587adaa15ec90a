-- Returns the labeling state of all regions.
--
-- ARGV  1 "freeze" marks the decided regions as used, so that their answers stay; "" only reads
-- Returns a list: region number, "state:answers:wanted:label:for:votes", ...

local states = redis.call('HGETALL', STATES)
if ARGV[1] == 'freeze' then
  for i = 1, #states, 2 do
    if tonumber(states[i + 1]:match('^%d+')) >= LABELED then redis.call('SADD', FROZEN, states[i]) end
  end
end
return states
