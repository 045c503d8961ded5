-- Choose one email as the next probe, or confirm that it is the one.
-- ARGV[6] the email's id
local b = load(KEYS[1])
local id = ARGV[6]
local free_at = math.max(b.resume, b.state == 'closed' and 0 or b.ends, now)

local function win()
  if b.drained == 1 then return false end
  if b.state == 'closed' and b.resume <= now then return true end
  if b.elected ~= '' and b.elected_epoch == b.epoch and b.elected_until > now then
    return b.elected == id
  end
  put(b, {elected = id, elected_epoch = b.epoch, elected_until = free_at + lease_ms})
  return true
end

return answer(b, win() and 'won' or 'lost')
