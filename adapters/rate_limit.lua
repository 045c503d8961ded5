-- One request against a key's token bucket, by Redis's clock.
-- KEYS: the bucket. ARGV: tokens a second, tokens at most.
-- Returns whether it may pass, and the tokens left as text: a number would be cut.
local rate, burst = tonumber(ARGV[1]), tonumber(ARGV[2])
local clock = redis.call('TIME')
local now = tonumber(clock[1]) + tonumber(clock[2]) / 1000000

local kept = redis.call('HMGET', KEYS[1], 'tokens', 'at')
local tokens, at = tonumber(kept[1]) or burst, tonumber(kept[2]) or now
-- A clock that was set back gives nothing, and takes nothing.
tokens = math.min(burst, tokens + math.max(0, now - at) * rate)

local passes = tokens >= 1
if passes then tokens = tokens - 1 end

redis.call('HSET', KEYS[1], 'tokens', string.format('%.6f', tokens),
    'at', string.format('%.6f', now))
-- A full bucket is as good as none.
redis.call('PEXPIRE', KEYS[1], math.ceil((burst - tokens) / rate * 1000) + 1000)
return {passes and 1 or 0, string.format('%.6f', tokens)}
