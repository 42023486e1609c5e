-- What the workload `lua` runs: tables as arrays, as records and as trees, strings by the hundred
-- thousand, closures and coroutines, all of it garbage again soon. It prints sums, which are the
-- same under every allocator. Its argument is how many percent of all that to do.

local percent = tonumber(arg[1]) or 100
local state = 20261126

local function below(limit)
    state = (state * 1103515245 + 12345) % 2147483648
    return (state >> 16) % limit
end

local function some(count)
    return math.max(1, count * percent // 100)
end

local function trees(depth)
    if depth == 0 then
        return {}
    end
    return {trees(depth - 1), trees(depth - 1), depth = depth}
end

local function count(tree)
    local sum = 1
    for _, below_it in ipairs(tree) do
        sum = sum + count(below_it)
    end
    return sum
end

local function many_trees()
    local kept, sum = trees(14), 0
    for _ = 1, some(56) do
        sum = sum + count(trees(12))
    end
    return sum + count(kept)
end

local function strings()
    local seen, distinct, pieces = {}, 0, {}
    for i = 1, some(120000) do
        local word = string.format("%s-%d", ("cell"):rep(below(4)), below(20000))
        if not seen[word] then
            seen[word] = {first = i, times = 0}
            distinct = distinct + 1
        end
        seen[word].times = seen[word].times + 1
        pieces[#pieces + 1] = word
        if #pieces == 200 then
            local text = table.concat(pieces, " ")
            local _, replaced = text:gsub("cell", "slot")
            distinct = distinct + replaced % 2
            pieces = {}
        end
    end
    return distinct
end

local function objects()
    local class = {}
    class.__index = class
    function class:grow(by)
        self.size = self.size + by
        return self
    end
    local window, sum = {}, 0
    for i = 1, some(600000) do
        local object = setmetatable({size = i % 7, name = i % 100}, class):grow(below(9))
        local place = below(20000) + 1
        sum = sum + (window[place] and window[place].size or 0)
        window[place] = object
    end
    return sum
end

local function coroutines()
    local sum = 0
    for i = 1, some(12000) do
        local each = coroutine.wrap(function(from)
            for value = from, from + 5 do
                coroutine.yield({value})
            end
        end)
        for _ = 1, 5 do
            sum = sum + each(i)[1]
        end
    end
    return sum
end

print("trees", many_trees())
print("strings", strings())
print("objects", objects())
print("coroutines", coroutines())
