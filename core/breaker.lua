-- A circuit breaker shared by all processes; the clock is the server's.  KEYS: the breaker.
-- ARGV: question ("before", "good", "bad"), was this the probe (1, 0), threshold, window, rest, longest rest, probe lease
-- (milliseconds).  Returns: a word, milliseconds until a probe is allowed, failures so far.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local question, probing = ARGV[1], ARGV[2] == '1'
local threshold, window, rest = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local longest, lease = tonumber(ARGV[6]), tonumber(ARGV[7])
local function number(field) return tonumber(redis.call('HGET', KEYS[1], field) or 0) end
local open_until, failures = number('open_until'), number('failures')

local function open()
  local opens = redis.call('HINCRBY', KEYS[1], 'opens', 1)
  local wait = math.min(rest * 2 ^ math.min(opens - 1, 20), longest)
  redis.call('HSET', KEYS[1], 'open_until', string.format('%.0f', now + wait), 'failures', 0, 'probe_until', 0)
  redis.call('PEXPIRE', KEYS[1], wait + 86400000)
  return {'opened', wait, 0}
end

if question == 'before' then
  if open_until == 0 then return {'closed', 0, failures} end
  if now < open_until then return {'open', open_until - now, 0} end
  local probe_until = number('probe_until')
  if now < probe_until then return {'open', probe_until - now, 0} end
  redis.call('HSET', KEYS[1], 'probe_until', string.format('%.0f', now + lease))
  return {'probe', 0, 0}
end
if question == 'good' then
  if open_until > 0 and not probing then return {'open', 0, 0} end  -- an answer to a call from before it opened
  redis.call('DEL', KEYS[1])
  return {open_until > 0 and 'reclosed' or 'closed', 0, 0}
end
if probing then return open() end
if open_until > 0 then return {'open', 0, 0} end
if now - number('since') > window then
  failures = 0
  redis.call('HSET', KEYS[1], 'since', string.format('%.0f', now))
end
redis.call('HSET', KEYS[1], 'failures', failures + 1)
redis.call('PEXPIRE', KEYS[1], 86400000)
if failures + 1 >= threshold then return open() end
return {'closed', 0, failures + 1}
