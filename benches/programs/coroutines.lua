-- Coroutines: generators, a pipeline of filters, a scheduler of tasks.
local function permutations(list)
  local function go(n)
    if n <= 1 then
      coroutine.yield(list)
      return
    end
    for i = 1, n do
      list[i], list[n] = list[n], list[i]
      go(n - 1)
      list[i], list[n] = list[n], list[i]
    end
  end
  return coroutine.wrap(function() go(#list) end)
end

local sum = 0
for order in permutations({ 1, 2, 3, 4, 5, 6 }) do
  local number = 0
  for i = 1, #order do number = number * 10 + order[i] end
  sum = (sum * 7 + number) % 1000003
end

local function numbers(n)
  return coroutine.wrap(function() for i = 1, n do coroutine.yield(i) end end)
end

local function filter(source, keep)
  return coroutine.wrap(function()
    for x in source do
      if keep(x) then coroutine.yield(x) end
    end
  end)
end

local kept = 0
local pipeline = filter(filter(numbers(1200), function(x) return x % 3 ~= 0 end), function(x)
  return x % 5 ~= 0
end)
for x in pipeline do kept = kept + x end

local tasks, done, ticks = {}, 0, 0
for i = 1, 40 do
  tasks[i] = coroutine.create(function()
    local work = 0
    for step = 1, i do
      for k = 1, 20 do work = work + k * step end
      coroutine.yield(work)
    end
    return "done"
  end)
end
while #tasks > 0 do
  for i = #tasks, 1, -1 do
    local ok, result = coroutine.resume(tasks[i])
    assert(ok)
    if result == "done" then
      done = done + 1
      table.remove(tasks, i)
    else
      ticks = (ticks + result) % 1000003
    end
  end
end
return string.format("%d %d %d %d", sum, kept, done, ticks)
