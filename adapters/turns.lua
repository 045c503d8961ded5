-- Owners take turns. It stands before Dramatiq's own script and sees what that is given:
-- KEYS[1] the namespace, ARGV[1] the command, ARGV[3] the queue, ARGV[9] and on what the
-- command takes.
--
-- postroom:turns:$queue           a list of the owners with something waiting, each once
-- postroom:waiting:$queue:$owner  a list of the ids of their messages, oldest first
--
-- A short queue is Dramatiq's alone. What would make it long waits by owner, and comes
-- into the queue as it is fetched, one of each owner in turn.

local function take_turns()
    local queue = ARGV[3]
    if string.sub(queue, -3) == ".DQ" then return false end
    local short = 32
    local list = KEYS[1] .. ":" .. queue
    local turns = "postroom:turns:" .. queue
    local waiting = "postroom:waiting:" .. queue .. ":"

    if ARGV[1] == "enqueue" then
        if redis.call("llen", list) < short and redis.call("exists", turns) == 0 then
            return false
        end
        local is_read, message = pcall(cjson.decode, ARGV[10])
        local hint = is_read and type(message) == "table"
            and type(message.args) == "table" and message.args[1]
        local owner = type(hint) == "table" and hint.owner
        if type(owner) ~= "string" then return false end
        redis.call("hset", list .. ".msgs", ARGV[9], ARGV[10])
        if redis.call("rpush", waiting .. owner, ARGV[9]) == 1 then
            redis.call("rpush", turns, owner)
        end
        return true
    end

    if ARGV[1] == "fetch" then
        local room = tonumber(ARGV[9]) - redis.call("llen", list)
        while room > 0 do
            local owner = redis.call("lpop", turns)
            if not owner then break end
            local id = redis.call("lpop", waiting .. owner)
            if redis.call("exists", waiting .. owner) == 1 then
                redis.call("rpush", turns, owner)
            end
            if id and redis.call("hexists", list .. ".msgs", id) == 1 then
                redis.call("rpush", list, id)
                room = room - 1
            end
        end
    end

    if ARGV[1] == "purge" then
        for _, owner in ipairs(redis.call("lrange", turns, 0, -1)) do
            redis.call("del", waiting .. owner)
        end
        redis.call("del", turns)
    end
    return false
end

if take_turns() then return end

