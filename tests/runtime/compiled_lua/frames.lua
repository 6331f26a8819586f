-- What goes from frame to frame: errors with their lines, yields, tail calls, variable arguments, values to
-- be closed, and what metamethods do in between.
local function try(f, ...) note(pcall(f, ...)) end

-- Errors, and the lines that they name.
try(function() local x; return x.y end)
try(function() local x = 1; return x.y.z end)
try(function() return 1 + {} end)
try(function() local t = {}; return t + 1 end)
try(function() return {} < {} end)
try(function() return 1 < "x" end)
try(function() return #5 end)
try(function() return -{} end)
try(function() return 1 // 0 end)
try(function() return 1 % 0 end)
try(function() return 2 ^ {} end)
try(function() return 1 & 1.5 end)
try(function() return "a" | 1 end)
try(function() local t = setmetatable({}, {__index = function(_, k) error("no " .. k) end}); return t.field end)
try(function() for i = 1, 10, 0 do end end)
try(function() for i = "x", 10 do end end)
try(function() undefined() end)
try(function() local s = "x"; s:nothing() end)
try(function()
  local t = {}
  t.x.y = 1
end)
try(function()
  local n = 0
  while true do
    n = n + 1
    if n == 10 then
      error("at " .. n)
    end
  end
end)

-- Numbers at their ends.
note(math.maxinteger + 1, math.mininteger - 1, math.maxinteger * 2, -math.mininteger)
note(7 // 2, -7 // 2, 7 // -2, -7 // -2, 7 % 3, -7 % 3, 7 % -3, -7 % -3)
note(7.5 // 2, -7.5 // 2, 7.5 % 2, -7.5 % 2, 5 % math.huge, -5 % math.huge, 1 / 0, -1 / 0, 0 / 0 ~= 0 / 0)
note(1 << 63, 1 << 64, 1 >> 1, -1 >> 1, 1 << -1, 2 >> -1, ~5, 5 ~ 3, 5 & 3, 5 | 3, 2.0 << 1, "3" + 4, "2" * "3")
local function shifts(a, b) return a << b, a >> b, a & b, a | b, a ~ b end
for _, b in ipairs { 0, 1, 63, 64, -1, -63, -64, math.mininteger } do note(shifts(-7, b)) end
local function order(a, b) return a < b, a <= b, a > b, a >= b, a == b end
for _, a in ipairs { 1, 1.0, 1.5, math.maxinteger, 2 ^ 63, -(2 ^ 63), math.huge, "1" } do
  for _, b in ipairs { 1, 2.0, math.maxinteger, math.mininteger, 2 ^ 53, "1", "2" } do
    note(a, b, pcall(order, a, b))
  end
end
local nan = 0 / 0
note(nan < 1, nan > 1, nan == nan, nan ~= nan, 1 < nan, nan <= nan)

-- Loops over numbers.
local function loop(a, b, c)
  local out = {}
  for i = a, b, c do
    out[#out + 1] = tostring(i)
    if #out > 6 then break end
  end
  return table.concat(out, ",")
end
for _, args in ipairs {
  { 1, 3, 1 }, { 3, 1, 1 }, { 3, 1, -1 }, { 1, 3, 2 }, { 1.0, 3, 1 }, { 1, 3.5, 1 }, { 1, 2, 0.5 },
  { math.maxinteger - 1, math.maxinteger, 1 }, { math.mininteger, math.mininteger + 1, 1 },
  { math.mininteger + 1, math.mininteger, -1 }, { 1, math.huge, 1 }, { 1, -math.huge, -1 }, { 1, 0 / 0, 1 },
  { math.maxinteger, math.maxinteger + 0.0, 1 },
} do
  note(args[1], args[2], args[3], pcall(loop, table.unpack(args)))
end
local function by_one(a, b) local n = 0 for i = a, b do n = n + i if n > 1e18 then break end end return n end
for _, args in ipairs { { 1, 10 }, { 10, 1 }, { 1.0, 3 }, { 1, 3.7 }, { 1, "3" }, { math.maxinteger, math.maxinteger } } do
  note(pcall(by_one, table.unpack(args)))
end

-- The variable of each turn is its own, also where it is changed.
local fs = {}
for i = 1, 3 do fs[i] = function() i = i + 10 return i end end
note(fs[1](), fs[1](), fs[2](), fs[3]())
for k, v in pairs { 10, 20 } do fs[k] = function() v = v + k return k, v end end
note(fs[1]()) note(fs[1]()) note(fs[2]())

-- Variable arguments.
local function count(...) return select("#", ...), ... end
local function tail(...) return count(...) end
local function rest(_, ...) local a, b = ... return a, b, count(...) end
note(count()) note(tail(nil, nil)) note(rest(1)) note(rest(1, 2, 3, 4))
note((count(1, 2)), count(count(1)), ({ count(1, 2, 3) })[4])
local function many(n) local t = {} for i = 1, n do t[i] = i end return table.unpack(t) end
note(select("#", many(200)), select(200, many(200)), #{ many(100), many(100) })

-- Deep calls, and tail calls without end.
local function down(n) if n == 0 then return "bottom" end return (down(n - 1)) end
note(down(10), down(1000), down(15000))
local function hop(n, ...) if n == 0 then return "end", ... end return hop(n - 1, ...) end
note(hop(100000, 1, 2))
local odd, even
function even(n) if n == 0 then return true end return odd(n - 1) end
function odd(n) if n == 0 then return false end return even(n - 1) end
note(even(10001), odd(10001))
local function endless(n) return 1 + endless(n + 1) end
local ok, message = pcall(endless, 1)
note(ok, (tostring(message):gsub("overflow.*", "overflow")))
local function fails(n) if n == 0 then error("deep") end return (fails(n - 1)) end
for _, n in ipairs { 0, 1, 500, 3000 } do note(pcall(fails, n)) end
local function caught(n) if n == 0 then error("inner") end local ok, e = pcall(caught, n - 1) return ok, e, n end
note(caught(5)) note(pcall(caught, 100))

-- Coroutines: yields in the middle of calls, metamethods, iterators and loops.
local function drive(f, ...)
  local co = coroutine.create(f)
  local values = table.pack(coroutine.resume(co, ...))
  for i = 1, 20 do
    note(coroutine.status(co), table.unpack(values, 1, values.n))
    if coroutine.status(co) == "dead" then break end
    values = table.pack(coroutine.resume(co, i))
  end
end
drive(function(a) for i = 1, 3 do a = a + coroutine.yield(a) end return "done", a end, 10)
local lazy = setmetatable({}, {
  __index = function(_, k) return coroutine.yield("index", k) end,
  __newindex = function(_, k, v) coroutine.yield("newindex", k, v) end,
  __add = function(_, b) return coroutine.yield("add", b) end,
  __concat = function(_, b) return coroutine.yield("concat", b) end,
  __lt = function() return coroutine.yield("lt") end,
  __le = function() return coroutine.yield("le") end,
  __eq = function() return coroutine.yield("eq") end,
  __len = function() return coroutine.yield("len") end,
  __unm = function() return coroutine.yield("unm") end,
  __call = function(_, ...) return coroutine.yield("call", ...) end,
  __close = function() coroutine.yield("close") end,
})
drive(function() return lazy.x, lazy[1] end)
drive(function() lazy.y = 1 lazy[2] = 2 return "set" end)
drive(function() return lazy + 1, lazy .. "x" .. "y" end)
drive(function() local n = 0 if lazy < lazy then n = n + 1 end if lazy <= lazy then n = n + 2 end return n end)
drive(function() if lazy == setmetatable({}, getmetatable(lazy)) then return "equal" end return "other" end)
drive(function() return #lazy, -lazy, lazy(1, 2) end)
drive(function() local x <close> = lazy return "closed" end)
drive(function() for a, b in coroutine.wrap(function() for i = 1, 3 do coroutine.yield(i, i * i) end end) do note(a, b) end end)
drive(function() for x in function(_, n) return coroutine.yield("next", n) end, nil, 0 do note("turn", x) if x > 3 then break end end end)
drive(function() return pcall(function() coroutine.yield(1) error("after") end) end)
drive(function() local ok, e = pcall(error, "x") coroutine.yield(ok, e) return select("#", many(3)) end)
drive(function() table.sort({ 3, 1, 2 }, function(a, b) return a < b end) return coroutine.yield("sorted") end)
drive(function() error({}) end)

-- Values to be closed, in whichever way their block ends.
local function closing(name) return setmetatable({}, { __close = function(_, e) note("close", name, e) end }) end
local function ends(how)
  local a <close> = closing("a")
  for i = 1, 3 do
    local b <close> = closing("b" .. i)
    if how == "break" and i == 2 then break end
    if how == "return" and i == 2 then return "returned", i end
    if how == "error" and i == 2 then error("raised") end
    if how == "goto" and i == 2 then goto out end
  end
  ::out::
  return "ended"
end
for _, how in ipairs { "end", "break", "return", "error", "goto" } do note(how, pcall(ends, how)) end

-- Metamethods, holes, and fields that come and go.
local Base = {} Base.__index = Base
function Base.new(n) return setmetatable({ n = n }, Base) end
function Base:get() return self.n end
local Derived = setmetatable({}, { __index = Base }) Derived.__index = Derived
function Derived.new(n) return setmetatable(Base.new(n), Derived) end
function Derived:twice() return 2 * self:get() end
local objects = { Base.new(1), Derived.new(2), Base.new(3) }
for _, object in ipairs(objects) do note(object:get(), object.twice and object:twice(), object.missing) end
function Base:get() return -self.n end
for _, object in ipairs(objects) do note(object:get()) end
local holes = {}
for i = 1, 20 do holes[i] = i end
for i = 1, 20, 3 do holes[i] = nil end
local seen = 0 for _ in pairs(holes) do seen = seen + 1 end
note(seen, holes[1], holes[2], holes[20], holes[21], holes[0], holes[-1], holes[2.0], holes[2.5])
local list = {}
for i = 1, 100 do list[#list + 1] = i end
for i = 1, 50 do list[#list] = nil end
note(#list, list[50], list[51])
local fields = {}
for i = 1, 40 do fields["k" .. i] = i fields["k" .. (i - 3)] = nil end
local names = {} for k, v in pairs(fields) do names[#names + 1] = k .. v end
table.sort(names) note(table.concat(names, " "))
local function field(t) t.x = (t.x or 0) + 1 return t.x end
for _, t in ipairs { {}, { x = 1 }, { a = 1, b = 2, c = 3, x = 4 }, setmetatable({}, { __index = { x = 7 } }) } do
  note(field(t), field(t), rawget(t, "x"))
end
local log_of = setmetatable({}, { __newindex = function(t, k, v) note("new", k, v) rawset(t, k, v) end })
for i = 1, 3 do log_of[i] = i log_of["f" .. i] = i log_of.same = i end

-- Garbage is collected in the middle of all of it.
local kept = {}
for i = 1, 2000 do
  local t = { i, { tostring(i) }, function() return i end }
  kept[i % 50 + 1] = t
end
local sum = 0
for _, t in ipairs(kept) do sum = sum + t[1] + tonumber(t[2][1]) + t[3]() end
note(sum)

-- Truth, and what is tested.
local function truth(a, b) return a and b, a or b, not a, a == nil, a == false, a ~= b end
for _, a in ipairs { true, false, 0, "" } do note(truth(a, 1)) note(truth(a, nil)) end
note(truth(nil, 2)) note(truth(nil, nil))
note((function(x) if x == "text" then return 1 elseif x == 2 then return 2 elseif x == nil then return 3 end return 4 end)(2.0))
return table.concat(log, "\n")
