-- Let one slice of parked emails go per period, whoever asks.
-- ARGV[6] the period in ms
local b = load(KEYS[1])
local every_ms = tonumber(ARGV[6])
local verdict = 'lost'
if b.released_until <= now or b.released_until > now + every_ms then
  put(b, {released_until = now + every_ms})
  verdict = 'won'
end
return answer(b, verdict)
