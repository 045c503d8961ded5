-- The bell: it tells those who wait for a queue that there is something in it.
--
-- It stands after the script that dispatches, as `dispatch`, in the same script: what
-- rings is what enqueues, and costs no trip more. Who listens: actors/bell.py, on the
-- channel $namespace:__bell__.$queue
--
-- Whoever waits has found the queue empty before. So it is enough to ring for what comes
-- into an empty one, and a backlog rings no more than a single message.

local answer = dispatch()

local rings = false
if ARGV[1] == "enqueue" then
    rings = redis.call("llen", KEYS[1] .. ":" .. ARGV[3]) == 1
elseif ARGV[1] == "requeue" or ARGV[7] == "1" then
    -- What a worker gives back, or had in hand when it died.
    rings = redis.call("exists", KEYS[1] .. ":" .. ARGV[3]) == 1
end
if rings then
    -- Who may not publish has enqueued all the same, and is found by the next poll.
    redis.pcall("publish", KEYS[1] .. ":__bell__." .. ARGV[3], "")
end

return answer
