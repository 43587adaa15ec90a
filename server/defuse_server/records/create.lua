-- Makes a resource once for each request id. While an earlier resource that is made of the same is reusable, it is the
-- answer in place of a new one.
--
-- KEYS  1 hash: the request   2 hash: the new resource   3 sorted set: the collection's index
--       4 sorted set: the queue   5 number: the sequence   6 hash: digest of what resources are made of -> name
--       7 hash: the earlier resource that was found in 6 (any key if none was found)
--       8... sorted sets: further indexes (ARGV[10] of them), then by turns
--       hash: a resource that the new one refers to, set: that one's referrers
-- ARGV  1 name   2 digest of the request   3 body   4 state   5 lifetime of the request in s
--       6 names that it refers to, joined by spaces   7 digest of what it is made of, or ''
--       8 name that was found under that digest, or ''   9 states in which that one is reusable: '1,2,3' ('': in none)
--       10 count of further indexes   11 by how much its place in the queue lies before its sequence number
-- Returns {outcome, detail}: made, known (its name), reused (the request id), missing (which of the references, from 1),
-- or again (by now another name is in 6 under the digest).

local function remember(name)
  redis.call('HSET', KEYS[1], 'digest', ARGV[2], 'name', name)
  redis.call('EXPIRE', KEYS[1], ARGV[5])
end

local known = redis.call('HMGET', KEYS[1], 'digest', 'name')
if known[1] then
  if known[1] ~= ARGV[2] then return {'reused', ''} end
  return {'known', known[2]}
end
if ARGV[7] ~= '' then
  if (redis.call('HGET', KEYS[6], ARGV[7]) or '') ~= ARGV[8] then return {'again', ''} end
  local state = ARGV[8] ~= '' and redis.call('HGET', KEYS[7], 'state')
  if state and (',' .. ARGV[9] .. ','):find(',' .. state .. ',', 1, true) then
    remember(ARGV[8])
    return {'known', ARGV[8]}
  end
end
local references = 8 + tonumber(ARGV[10])
for i = references, #KEYS, 2 do
  if redis.call('EXISTS', KEYS[i]) == 0 then return {'missing', (i - references) / 2 + 1} end
end

local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
local sequence = redis.call('INCR', KEYS[5])
remember(ARGV[1])
redis.call('HSET', KEYS[2], 'body', ARGV[3], 'state', ARGV[4], 'revision', 1, 'attempt', 0,
  'create_ms', string.format('%.0f', now_ms), 'references', ARGV[6])
redis.call('ZADD', KEYS[3], sequence, ARGV[1])
redis.call('ZADD', KEYS[4], sequence - tonumber(ARGV[11]), ARGV[1])
if ARGV[7] ~= '' then redis.call('HSET', KEYS[6], ARGV[7], ARGV[1]) end
for i = 8, references - 1 do redis.call('ZADD', KEYS[i], sequence, ARGV[1]) end
for i = references + 1, #KEYS, 2 do redis.call('SADD', KEYS[i], ARGV[1]) end
return {'made', ARGV[1]}
