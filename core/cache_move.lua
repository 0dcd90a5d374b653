-- Move versions.  KEYS: the version keys.  ARGV: mode, token, seconds an open write is respected.
-- "open": a write has begun (nothing is kept until it is settled); "settle": it has committed; "move": just move.
local time = redis.call('TIME')
local micros = time[1] * 1000000 + time[2]
for _, key in ipairs(KEYS) do
  local version = math.max(tonumber(redis.call('GET', key) or 0) + 1, micros)
  redis.call('SET', key, string.format('%.0f', version), 'EX', 172800)
  if ARGV[1] == 'open' then
    redis.call('ZREMRANGEBYSCORE', key .. ':open', '-inf', micros)
    redis.call('ZADD', key .. ':open', micros + ARGV[3] * 1000000, ARGV[2])
    redis.call('EXPIRE', key .. ':open', ARGV[3])
  elseif ARGV[1] == 'settle' then
    redis.call('ZREM', key .. ':open', ARGV[2])
  end
end
return 1
