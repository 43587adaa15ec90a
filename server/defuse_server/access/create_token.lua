-- Adds a token, unless a good one has its name.
--
-- KEYS  1 hash: the tokens
-- ARGV  1 digest   2 name   3 roles, joined by commas   4 lifetime in ms, or 0
-- Returns 1, or 0 if the name is taken.

local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
for _, entry in ipairs(redis.call('HVALS', KEYS[1])) do
  local token = cjson.decode(entry)
  local expired = token.expires_ms > 0 and token.expires_ms <= now_ms
  if token.name == ARGV[2] and token.revoked_ms == 0 and not expired then return 0 end
end
local lifetime_ms = tonumber(ARGV[4])
local expires_ms = lifetime_ms > 0 and now_ms + lifetime_ms or 0
redis.call('HSET', KEYS[1], ARGV[1], cjson.encode({
  name = ARGV[2], roles = ARGV[3], created_ms = now_ms, expires_ms = expires_ms, revoked_ms = 0 }))
return 1
