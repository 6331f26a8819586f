-- Functions as values: counters, mapping and folding, composing, currying, memoising.
local function counter()
  local n = 0
  return function()
    n = n + 1
    return n
  end
end

local function map(list, f)
  local out = {}
  for i = 1, #list do out[i] = f(list[i]) end
  return out
end

local function filter(list, keep)
  local out = {}
  for i = 1, #list do
    if keep(list[i]) then out[#out + 1] = list[i] end
  end
  return out
end

local function fold(list, f, start)
  for i = 1, #list do start = f(start, list[i]) end
  return start
end

local function compose(...)
  local functions = { ... }
  return function(x)
    for i = #functions, 1, -1 do x = functions[i](x) end
    return x
  end
end

local function curry(f) return function(a) return function(b) return f(a, b) end end end

local function memoise(f)
  local known = {}
  return function(x)
    local value = known[x]
    if value == nil then
      value = f(x)
      known[x] = value
    end
    return value
  end
end

local total = 0
for round = 1, 60 do
  local next_number = counter()
  local list = {}
  for i = 1, 100 do list[i] = next_number() + round end
  local add = curry(function(a, b) return a + b end)
  local change = compose(add(3), function(x) return x * 2 end, add(-1))
  local even = filter(map(list, change), function(x) return x % 4 ~= 0 end)
  total = total + fold(even, function(a, b) return (a * 3 + b) % 65521 end, 1)
  local collatz
  collatz = memoise(function(n)
    if n == 1 then return 0 end
    return 1 + collatz(n % 2 == 0 and n // 2 or 3 * n + 1)
  end)
  for i = 1, 30 do total = total + collatz(i + round) end
end
return total
