-- Read all breakers at once. KEYS come in pairs: hash, sorted set.
local replies = {}
for i = 1, #KEYS, 2 do
  local reply, counted = facts(load(KEYS[i]))
  reply.latencies = counted.latencies
  reply.refuses = {}
  local flat = redis.call('ZRANGEBYSCORE', KEYS[i + 1], '(' .. now, '+inf', 'WITHSCORES')
  for j = 1, #flat, 2 do reply.refuses[flat[j]] = tonumber(flat[j + 1]) - now end
  replies[#replies + 1] = reply
end
return cjson.encode(replies)
