-- Take what a provider or an operator says.
-- ARGV[6] trip, reset, drain, resume, pause or refuse
-- ARGV[7] pause: ms; refuse: the From domain   ARGV[8] refuse: ms   ARGV[9] most domains
local b = load(KEYS[1])
local verbs = {}

function verbs.trip() open(b, 0) end

function verbs.reset()
  close(b)
  put(b, {resume = 0})
end

function verbs.drain() put(b, {drained = 1}) end

function verbs.resume() put(b, {drained = 0, resume = 0, released_until = 0}) end

function verbs.pause()
  if b.resume <= now then put(b, {elected = ''}) end
  local wait = math.min(tonumber(ARGV[7]), longest_pause_ms)
  put(b, {resume = math.max(b.resume, now + wait)})
end

function verbs.refuse()
  local memory_ms = tonumber(ARGV[8])
  redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now)
  redis.call('ZADD', KEYS[2], now + memory_ms, ARGV[7])
  redis.call('ZREMRANGEBYRANK', KEYS[2], 0, -tonumber(ARGV[9]) - 1)
  redis.call('PEXPIRE', KEYS[2], memory_ms)
end

verbs[ARGV[6]]()
return answer(b, 'taken')
