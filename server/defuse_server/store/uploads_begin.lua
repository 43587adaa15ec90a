-- Opens an upload, or finds it again.
--
-- KEYS  1 hash: the upload
-- ARGV  1 sha256   2 size in bytes   3 lifetime in s
-- Returns 1, or 0 if it was opened for other bytes.

local known = redis.call('HMGET', KEYS[1], 'sha256', 'size_bytes')
if known[1] and (known[1] ~= ARGV[1] or known[2] ~= ARGV[2]) then return 0 end
if not known[1] then
  redis.call('HSET', KEYS[1], 'sha256', ARGV[1], 'size_bytes', ARGV[2], 'committed_bytes', 0, 'artifact', '')
end
redis.call('EXPIRE', KEYS[1], ARGV[3])
return 1
