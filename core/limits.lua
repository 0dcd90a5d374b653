-- The generic cell rate algorithm (ITU-T I.371, "virtual scheduling") with the server's own clock, in one call.
-- KEYS: the cell, its strikes.  ARGV: window (microseconds), limit, cost, mode, longest penalty (microseconds; 0: none).
-- Modes: "hit" takes when there is enough; "peek" only looks; "force" takes in any case; "refund" gives back.
-- Returns: allowed, remaining, microseconds until the cell is empty again, microseconds until a retry makes sense.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local window, limit, cost = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local mode, longest = ARGV[4], tonumber(ARGV[5])
local interval = window / limit

-- Theoretical arrival time. It cannot lie further ahead than one window: if it does, the clock was set back.
local arrival = math.min(math.max(tonumber(redis.call('GET', KEYS[1]) or 0), now), now + window)

local function remaining(at) return math.max(0, math.floor((window - (at - now)) / interval + 0.000001)) end
local function keep(at)
  if at > now then
    redis.call('SET', KEYS[1], string.format('%.0f', at), 'PX', math.ceil((at - now) / 1000))
  else
    redis.call('DEL', KEYS[1])
  end
end

if mode == 'refund' then
  arrival = math.max(now, arrival - cost * interval)
  keep(arrival)
  return {1, remaining(arrival), math.ceil(arrival - now), 0}
end

local blocked = 0
if longest > 0 then blocked = math.min(math.max(0, tonumber(redis.call('HGET', KEYS[2], 'until') or 0) - now), longest) end
local after = arrival + cost * interval
local wait = math.max(after - window - now, 0)
if wait < 1 then wait = 0 end

if mode == 'force' then
  keep(math.min(after, now + window))
  arrival = math.min(after, now + window)
  return {wait == 0 and blocked == 0 and 1 or 0, remaining(arrival), math.ceil(arrival - now), math.ceil(math.max(wait, blocked))}
end

if wait == 0 and blocked == 0 then
  if mode == 'hit' then arrival = after; keep(arrival) end
  return {1, remaining(arrival), math.ceil(arrival - now), 0}
end

-- Refused. Each new offence within the memory (longest penalty and a window) doubles the wait; the first adds none.
if mode == 'hit' and longest > 0 and blocked == 0 then
  local strikes = redis.call('HINCRBY', KEYS[2], 'strikes', 1)
  blocked = math.min(math.max(wait, interval) * 2 ^ math.min(strikes - 1, 20), math.max(longest, wait))
  if strikes == 1 then blocked = wait end
  redis.call('HSET', KEYS[2], 'until', string.format('%.0f', now + blocked))
  redis.call('PEXPIRE', KEYS[2], math.ceil((blocked + longest + window) / 1000))
end
return {0, 0, math.ceil(arrival - now), math.ceil(math.max(wait, blocked))}
