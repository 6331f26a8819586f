local function try(f, ...)
  local function noted(ok, ...)
    if ok then note(...) else note("error", (...)) end
  end
  noted(pcall(f, ...))
end

-- Keys of every kind, there and not there, in the array and beside it.
local t = {1, 2, 3, nil, 5, name = "n", [1.5] = "float", [true] = "yes", [-1] = "minus", [2^53] = "big"}
local keys = {
  0, 1, 2, 3, 4, 5, 6, -1, 1.0, 2.0, 1.5, "1", "name", "no", true, false, 2^53, 0/0,
  math.mininteger, math.maxinteger, {}, ("long"):rep(30),
}
for n = 1, #keys do
  local key = keys[n]
  note("get", n, t[key])
  try(function() t[key] = n return t[key] end)
  try(function() t[key] = nil return t[key] end)
end
try(function() return t[nil] end)
try(function() t[nil] = 1 end)
note(t[1], t[2], t[255], t.name, t.no)
t[1], t[255], t.name, t.no = "a", "b", "c", "d"
note(t[1], t[2], t[255], t.name, t.no)

-- What isn't a table.
for _, value in ipairs {1, 1.5, "text", true, print} do
  try(function() return value[1] end)
  try(function() return value.name end)
  try(function() return value:name() end)
  try(function() value[1] = 1 end)
  try(function() value.name = 1 end)
end
local missing
try(function() return missing.name end)
try(function() return missing[1] end)
try(function() missing.name = 1 end)
try(function() return missing:name() end)
try(function() return undefined.name end)
try(function() undefined.name = 1 end)

-- Methods of strings, and of strings whose metatable says otherwise.
note(("text"):upper(), ("x"):rep(3), #("text"), ("long"):rep(20):len())
local strings = getmetatable("")
local index = strings.__index
if index then
  strings.__index = function(_, key) return function() return "own " .. key end end
  note(("text"):upper(), pcall(function() return ("text").size end))
  strings.__index = index
end

-- Inheritance, as far as it goes.
local A = {}
A.__index = A
function A.who() return "A" end
function A.both() return "A's" end
local B = setmetatable({both = function() return "B's" end}, A)
B.__index = B
local C = setmetatable({}, B)
C.__index = C
local D = setmetatable({}, C)
D.__index = D
for _, class in ipairs {A, B, C, D} do
  local object = setmetatable({own = 1}, class)
  note(object.who(), object:who(), object.both(), object:both(), object.own, object.none, object[1])
  object.who = function() return "its own" end
  note(object:who(), rawget(object, "both"))
  object.who = nil
  note(object:who())
end
function C.who() return "C" end
note(setmetatable({}, D):who(), setmetatable({}, B):who())
A.__index = nil
note(pcall(function() return setmetatable({}, B).who end))
A.__index = A
note(setmetatable({}, B):who())
A.__index = function(_, key) return "computed " .. tostring(key) end
note(setmetatable({}, A).what, setmetatable({}, D).what, setmetatable({}, D)[1], setmetatable({[1] = 5}, A)[1])

-- What has no fields of its own, and writes that go elsewhere.
local written = {}
local proxy = setmetatable({}, {
  __index = function(_, key) return written[key] end,
  __newindex = function(_, key, value) written[key] = value end,
  __len = function() return 42 end,
})
proxy[1], proxy.x = "one", "ex"
note(proxy[1], proxy.x, rawget(proxy, 1), rawget(proxy, "x"), #proxy, written.x)
local array = setmetatable({1, 2, 3}, {__newindex = written, __index = {[2] = "inherited"}})
array[2] = nil
note(array[2], rawget(array, 2))
array[2] = "elsewhere"
note(array[2], rawget(array, 2), written[2])
array.new = 1
note(array.new, written.new, #array)

-- A metatable that gets its metamethods late, and loses them.
local late, plain = setmetatable({}, {}), {}
local meta = getmetatable(late)
note(late.x, late[1], late == setmetatable({}, meta), pcall(function() return #late end))
meta.__index = {x = "late"}
meta.__eq = function() return true end
meta.__len = function() return 7 end
note(late.x, late[1], late == setmetatable({}, meta), late == plain, plain == late, #late)
meta.__index, meta.__eq, meta.__len = nil, nil, nil
note(late.x, late == setmetatable({}, meta), #late)
rawset(meta, "__index", function() return "raw" end)
note(late.x, late[1])
local emptied = {__index = 1}
emptied.__index = nil
local of_emptied = setmetatable({}, emptied)
note(of_emptied.x)
emptied.__index = {x = "again"}
note(of_emptied.x)

-- The same with room for what comes late, so that nothing has to be made anew.
for _, name in ipairs {"__index", "__newindex", "__eq", "__len", "__call", "__add"} do
  local roomy = {a = 1, b = 2, c = 3, d = 4, e = 5}
  roomy.e, roomy.d = nil, nil
  local object, other = setmetatable({}, roomy), setmetatable({}, roomy)
  local function looks()
    object.stored = 1
    note(name, object.x, object[1], object == other, rawget(object, "stored"))
    note(pcall(function() return #object, object(), object + 1 end))
    object.stored = nil
  end
  looks()
  roomy[name] = function(...) return select("#", ...) end
  looks()
  roomy[name] = nil
  looks()
  roomy["__" .. name:sub(3)] = function() return name end
  looks()
end

-- New keys in tables that have room for them and that don't, removed and put back.
for size = 0, 20 do
  local fresh = {}
  for n = 1, size do fresh["key" .. n] = n end
  fresh.first = "first"
  fresh.second = fresh.first .. size
  fresh.first = nil
  fresh.third, fresh.first = size, "again"
  local count, sum = 0, 0
  for key, value in pairs(fresh) do
    count = count + 1
    sum = sum + (tonumber(value) or #value) * #key
  end
  note(size, count, sum, fresh.first, fresh.second, fresh.third, fresh["key" .. size], next({}))
end
do
  local point = {x = 1, y = 2}
  point.z, point.w = 3, 4
  note(point.x, point.y, point.z, point.w, point.v)
  local function keeps() local self = {} self.a = 1 self.b = {} self.b.c = self.a return self.b.c end
  note(keeps())
end

-- An `__index` that leads back to where it began.
local loop = {}
setmetatable(loop, {__index = loop})
try(function() return loop.x end)
local first, second = {}, {}
setmetatable(first, {__index = second})
setmetatable(second, {__index = first})
try(function() return first.x end)
try(function() return first:x() end)

-- Many keys, so that some of them are in long chains.
local many = {}
for n = 1, 3000 do many["key" .. n] = n end
local sum = 0
for n = 1, 3000 do sum = sum + many["key" .. n] end
note(sum, many.key1, many.key3000, many.key3001)
for n = 1, 3000, 2 do many["key" .. n] = nil end
for n = 1, 3000 do many["key" .. n] = (many["key" .. n] or 0) + 1 end
sum = 0
for _, value in pairs(many) do sum = sum + value end
note(sum)
for n = 1, 300 do
  local code = ("local t = ... t.key%d = %d return t.key%d, t.no%d"):format(n, n * n, n, n)
  note(load(code, "=code")(many))
end

-- Lengths.
for size = 0, 40 do
  local list = {}
  for n = 1, size do list[n] = n end
  local full = #list
  list[#list + 1] = "next"
  local more = #list
  list[#list] = nil
  list[#list] = nil
  note(size, full, more, #list, #{n = 1, 1, 2}, #{nil, nil, 3})
end

local list = {}
for step = 1, 400 do
  if step % 7 < 5 then
    list[#list + 1] = step
  else
    list[#list] = nil
  end
  if step % 50 == 0 then list[#list + 2] = "beyond a hole" note(list[#list]) end
  if step % 8 == 0 then note(step, #list, list[#list], list[#list + 1], list[1]) end
end
for n = #list, 1, -1 do list[n] = nil end
note(#list, next(list))
local stack, top = {}, 0
for round = 1, 6 do
  for n = 1, 40 * round do top = top + 1 stack[top] = n end
  note(#stack, stack[top], stack[top + 1])
  for n = 1, 39 * round do stack[top] = nil top = top - 1 end
  note(#stack, stack[top], stack[top + 1])
end

-- Globals, and functions with an environment of their own.
GLOBAL = 1
GLOBAL = GLOBAL + 1
note(GLOBAL, rawget(_G, "GLOBAL"), undefined)
local function in_environment(_ENV) own = (own or 0) + 1 return own end
local environment = {}
in_environment(environment)
note(in_environment(environment), environment.own)
try(in_environment, 1)
try(in_environment, setmetatable({}, {__index = function() return 10 end}))
return table.concat(log, "\n")
