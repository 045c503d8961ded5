-- Let a call pass, make it the probe, or deny it.
-- ARGV[6] a token for the probe   ARGV[7] '1' if the caller may be the probe
local b = load(KEYS[1])
local verdict = 'deny'
if b.drained == 0 and b.resume <= now then
  if b.state == 'closed' then
    verdict = 'pass'
  elseif ARGV[7] == '1' and b.ends <= now then
    put(b, {state = 'half_open', probe = ARGV[6], ends = now + lease_ms})
    verdict = 'probe'
  end
end
return answer(b, verdict)
