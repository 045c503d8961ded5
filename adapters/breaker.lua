-- What all breaker scripts share; each of them is appended to this text.
--
-- KEYS[1]  hash: one provider's breaker     KEYS[2]  sorted set: refused From domains
-- ARGV[1..5]  fail_max, reset_ms, window_ms, lease_ms, longest_pause_ms
--
-- The same rules in Python are breaker_memory.py and breaker_window.py; a property test
-- drives both with the same calls. All instants are milliseconds of Redis's clock.

local now = math.floor(now_us / 1000)
local fail_max, reset_ms = tonumber(ARGV[1]), tonumber(ARGV[2])
local window_ms, lease_ms = tonumber(ARGV[3]), tonumber(ARGV[4])
local longest_pause_ms = tonumber(ARGV[5])
local BUCKETS = 6
local LONGEST_WAIT = 8 * reset_ms
local NUMBERS = {'epoch', 'ends', 'resume', 'drained', 'failed_probes', 'opened_at',
                 'rate', 'rate_until', 'elected_epoch', 'elected_until',
                 'released_until'}
local WORDS = {'probe', 'elected'}

local function put(b, changes)
  local flat = {}
  for field, value in pairs(changes) do
    b[field] = value
    if type(value) == 'number' then value = string.format('%.17g', value) end
    flat[#flat + 1] = field
    flat[#flat + 1] = value
  end
  redis.call('HSET', b.key, unpack(flat))
end

-- An instant further off than any rule sets it comes from a clock that was set back, or
-- from longer settings: without this it could keep a provider out for hours.
local function clamp(b)
  local longest = b.state == 'half_open' and lease_ms or LONGEST_WAIT
  if b.ends > now + longest then put(b, {ends = now + longest}) end
  if b.resume > now + longest_pause_ms then
    put(b, {resume = now + longest_pause_ms})
  end
end

local function load(key)
  local b = {key = key}
  local flat = redis.call('HGETALL', key)
  for i = 1, #flat, 2 do b[flat[i]] = flat[i + 1] end
  b.state = b.state or 'closed'
  for _, field in ipairs(NUMBERS) do b[field] = tonumber(b[field]) or 0 end
  for _, field in ipairs(WORDS) do b[field] = b[field] or '' end
  clamp(b)
  return b
end

-- The window is a ring of buckets: index:first:calls:failed:slow:both, and after these
-- how many calls there were of each class of latency (breaker_latency.py). A bucket of a
-- release before has none.
local CLASSES = 12

local function bucket_index() return math.floor(now * BUCKETS / window_ms) end

local function read_bucket(b, slot)
  local numbers = {}
  for number in string.gmatch(b['w' .. slot] or '', '%d+') do
    numbers[#numbers + 1] = tonumber(number)
  end
  return numbers
end

local function counts(b)
  local sum = {first = now, calls = 0, failed = 0, slow = 0, both = 0, latencies = {}}
  for class = 1, CLASSES do sum.latencies[class] = 0 end
  local current = bucket_index()
  for slot = 0, BUCKETS - 1 do
    local n = read_bucket(b, slot)
    if n[1] and n[1] <= current and n[1] > current - BUCKETS then
      sum.first = math.min(sum.first, n[2])
      sum.calls, sum.failed = sum.calls + n[3], sum.failed + n[4]
      sum.slow, sum.both = sum.slow + n[5], sum.both + n[6]
      for class = 1, CLASSES do
        sum.latencies[class] = sum.latencies[class] + (n[6 + class] or 0)
      end
    end
  end
  return sum
end

local function count(b, failed, slow, class)
  local current = bucket_index()
  local slot = current % BUCKETS
  local n = read_bucket(b, slot)
  if n[1] ~= current then n = {current, now, 0, 0, 0, 0} end
  n[3] = n[3] + 1
  if failed then n[4] = n[4] + 1 end
  if slow then n[5] = n[5] + 1 end
  if failed and slow then n[6] = n[6] + 1 end
  for each = 7, 6 + CLASSES do n[each] = n[each] or 0 end
  n[7 + class] = n[7 + class] + 1
  for each, number in ipairs(n) do n[each] = string.format('%.0f', number) end
  put(b, {['w' .. slot] = table.concat(n, ':')})
end

local function is_sick(c)
  return (c.failed >= fail_max and c.failed * 2 >= c.calls)
      or (c.slow >= fail_max and c.slow * 2 >= c.calls)
end

local function rate_per_s(b, c)
  if b.state ~= 'closed' or b.rate_until > now then return b.rate end
  return c.calls / math.max((now - c.first) / 1000, 1)
end

-- Later than any epoch before, also than those that a FLUSHALL made us forget.
local function next_epoch(b) return math.max(b.epoch + 1, now) end

local function open(b, failed_probes)
  local jitter = (now_us % 1000) / 1000
  local wait = reset_ms * 2 ^ failed_probes * (1 + jitter / 10)
  if b.state == 'closed' and b.rate_until <= now then
    put(b, {rate = rate_per_s(b, counts(b)), opened_at = now})
  end
  put(b, {state = 'open', epoch = next_epoch(b), probe = '', elected = '',
          failed_probes = failed_probes,
          ends = now + math.floor(math.min(wait, LONGEST_WAIT))})
end

-- The rate from before the outage stays the measure while its backlog is released,
-- which takes about as long as the outage.
local function close(b)
  if b.state ~= 'closed' then
    put(b, {rate_until = now + window_ms + 2 * (now - b.opened_at)})
  end
  put(b, {state = 'closed', epoch = next_epoch(b), ends = 0, probe = '', elected = '',
          failed_probes = 0, released_until = 0})
  for slot = 0, BUCKETS - 1 do
    redis.call('HDEL', b.key, 'w' .. slot)
    b['w' .. slot] = nil
  end
end

-- Waits, not instants, leave Redis. Long numbers go as text: cjson keeps 14 digits.
local function facts(b)
  local c = counts(b)
  return {
    state = b.state, epoch = string.format('%.0f', b.epoch),
    wait_ms = b.state == 'closed' and 0 or b.ends - now,
    pause_ms = math.max(b.resume - now, 0), drained = b.drained == 1,
    calls = c.calls, failures = c.failed + c.slow - c.both,
    rate_per_s = rate_per_s(b, c), at_us = string.format('%.0f', now_us),
  }, c
end

local function answer(b, verdict)
  local reply = facts(b)
  reply.verdict = verdict
  return cjson.encode(reply)
end
