-- The beginning of all job scripts. KEYS[1] is the resource's hash (see redis_keys.py).

local CHANGED = 'defuse:changed'

local function now_ms()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

local function number_of(field)
  return tonumber(redis.call('HGET', KEYS[1], field) or '0')
end

-- States of jobs and of registrations share numbers, so each script is told which states are not final: '1,2,5'.
local function contains(states, state)
  for number in string.gmatch(states, '%d+') do
    if tonumber(number) == state then
      return true
    end
  end
  return false
end

-- The fence: only the newest attempt at a job that has not ended may write.
local function owns(attempt, unfinished)
  return contains(unfinished, number_of('state')) and number_of('attempt') == tonumber(attempt)
end

local function changed(name)
  redis.call('HINCRBY', KEYS[1], 'revision', 1)
  redis.call('PUBLISH', CHANGED, name)
end
