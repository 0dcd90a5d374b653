-- Look up an entry under the present versions, in one call.
-- KEYS: the version keys on which the entry depends.  ARGV: entry key without version, who asks, milliseconds a lock lasts.
-- Returns: state, the full entry key, the entry.  States: "hit"; "stale" (another refreshes it); "refresh" (you do);
-- "miss" (you produce it); "wait" (another produces it); "open" (a write is under way: produce and do not keep).
local time = redis.call('TIME')
local micros = time[1] * 1000000 + time[2]
local versions, open = {}, false
for index, key in ipairs(KEYS) do
  local version = redis.call('GET', key)
  if not version then
    -- Never lower than any that was forgotten: versions begin with the clock.
    version = string.format('%.0f', micros)
    redis.call('SET', key, version, 'EX', 172800)
  end
  versions[index] = version
  if redis.call('ZCOUNT', key .. ':open', micros, '+inf') > 0 then open = true end
end
local entry_key = ARGV[1] .. ':v' .. table.concat(versions, '.')
if open then return {'open', entry_key, false} end
local entry = redis.call('GET', entry_key)
if entry and tonumber(string.match(entry, '^(%d+)|') or 0) * 1000 > micros then return {'hit', entry_key, entry} end
local locked = redis.call('SET', entry_key .. ':lock', ARGV[2], 'NX', 'PX', ARGV[3])
  or redis.call('GET', entry_key .. ':lock') == ARGV[2]
if entry then return {locked and 'refresh' or 'stale', entry_key, entry} end
return {locked and 'miss' or 'wait', entry_key, false}
