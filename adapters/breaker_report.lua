-- Take the result of a call.
-- ARGV[6] token   ARGV[7] epoch   ARGV[8] '1' success, '0' failure, '' neutral
-- ARGV[9] '1' to open at once   ARGV[10] '1' if it was slow
-- ARGV[11] the class of its latency
local b = load(KEYS[1])
local token, epoch, success = ARGV[6], tonumber(ARGV[7]), ARGV[8]
local trip, slow = ARGV[9] == '1', ARGV[10] == '1'

local function settle_probe()
  if trip or success == '0' then
    open(b, b.failed_probes + 1)
  elseif success == '1' then
    close(b)
  else
    put(b, {state = 'open', probe = '', elected = '', ends = now})
  end
end

if epoch == b.epoch then
  if token ~= '' then
    if token == b.probe then settle_probe() end
  elseif b.state == 'closed' then
    if success ~= '' then count(b, success == '0', slow, tonumber(ARGV[11])) end
    if trip or (success ~= '' and is_sick(counts(b))) then open(b, 0) end
  end
end
return answer(b, 'taken')
