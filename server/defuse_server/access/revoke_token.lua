-- Revokes the good tokens of a name, of which there is at most one.
--
-- KEYS  1 hash: the tokens
-- ARGV  1 name
-- Returns how many there were.

local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
local revoked = 0
local entries = redis.call('HGETALL', KEYS[1])
for i = 1, #entries, 2 do
  local token = cjson.decode(entries[i + 1])
  local expired = token.expires_ms > 0 and token.expires_ms <= now_ms
  if token.name == ARGV[1] and token.revoked_ms == 0 and not expired then
    token.revoked_ms = now_ms
    redis.call('HSET', KEYS[1], entries[i], cjson.encode(token))
    revoked = revoked + 1
  end
end
return revoked
