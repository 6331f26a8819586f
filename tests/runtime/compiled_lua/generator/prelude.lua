-- What random programs work with, as globals. It is run before them, and isn't translated: so their functions
-- are called from, and call, what is interpreted.

log, left = {}, 0

local function shown(v)
  if math.type(v) == "float" then return v ~= v and "nan" or string.format("%.14g", v) .. "f" end
  if type(v) == "number" or type(v) == "boolean" or v == nil then return tostring(v) end
  if type(v) == "string" then return (v:sub(1, 200):gsub("0x%x+", "at")) end
  return type(v)
end
function show(v) return shown(v) end
function note(...)
  local line = table.pack(...)
  for i = 1, line.n do line[i] = shown(line[i]) end
  log[#log + 1] = table.concat(line, " ")
end

-- No loop and no recursion goes on for long, in all of what is called.
function turn()
  left = left - 1
  if left < 0 then error("enough", 0) end
  return left
end
function cut(s) return type(s) == "string" and s:sub(1, 40) or s end

-- What finalizers say is kept apart: when the collector comes is up to sizes, which differ natively.
collected = {}
function garbage(name)
  return setmetatable({}, { __gc = function() collected[#collected + 1] = name .. " " .. #log end })
end
function closer(name)
  return setmetatable({ name = name }, { __close = function(it, e) note("closes", it.name, e) end })
end
-- One that raises, or yields where it can.
function odd_closer(name)
  return setmetatable({}, { __close = function(_, e)
    note("odd", name, e)
    if name % 2 == 0 then error("closing " .. name) end
    if coroutine.isyieldable() then note("odd", coroutine.yield("closing")) end
  end })
end

local meta = {}
for _, name in ipairs { "add", "sub", "mul", "div", "mod", "pow", "idiv", "band", "bor", "bxor", "shl", "shr", "concat" } do
  meta["__" .. name] = function(a, b) return name .. shown(a) .. shown(b) end
end
meta.__unm = function() return 1.5 end
meta.__bnot = function() return 7 end
meta.__len = function() return 3 end
meta.__lt = function(a, b) return type(a) == "table" end
meta.__le = function(a, b) return type(b) == "table" end
meta.__eq = function() return true end
meta.__index = function(t, k) return k == "x" and 7 or nil end
meta.__call = function(_, a, b) return b, a end
function object() return setmetatable({ 1, 2.5, "3" }, meta) end

-- Whatever is done with one of these yields, where that is possible.
local function through(...)
  if coroutine.isyieldable() then return coroutine.yield(...) end
  return (...)
end
local yielding = {}
for name in pairs(meta) do yielding[name] = function(a, b) return through(name, b) end end
yielding.__newindex = function(t, k, v) rawset(t, k, through("set", v)) end
function pausing() return setmetatable({ 4 }, yielding) end

base = { x = 1, y = "y", get = function(self, n) return (self.z or 0) + n end }
base.__index = base
function base:put(v) self.z = v return self end
middle = setmetatable({ w = 4 }, base)
middle.__index = middle
function middle:get(n) return base.get(self, n) * 2 end
function child() return setmetatable({ z = 2 }, base) end
function grandchild() return setmetatable({}, middle) end
-- One kind of thing, in several shapes.
local shapes = {
  function() return { x = 1 } end,
  function() return { y = 2, x = 3 } end,
  function() return { 1, 2, x = 4, z = 5 } end,
  function() local t = {} t.a = 1 t.x = 6 t.a = nil return t end,
  function() return setmetatable({}, { __index = function(_, k) return k .. "!" end }) end,
  function() return setmetatable({ y = 8 }, { __newindex = function(t, k, v) rawset(t, k, v == nil and 0 or v) end }) end,
  child,
  grandchild,
}
function shape(n) return shapes[(type(n) == "number" and n == n and math.abs(n) < 1e6 and n // 1 | 0 or 0) % #shapes + 1]() end
function pack(...) return table.pack(...) end
function pass(f, ...) return f(...) end
function after(f, ...) local r = f(...) return r end
function counted(...) return select("#", ...), ... end
function upto(n) return function(_, k) if k < n then return k + 1, k * 2 end end, nil, 0 end
function resting(n)
  return function(_, k)
    if k >= n then return nil end
    return k + 1, through(k)
  end, nil, 0
end
function sort(t, f) table.sort(t, f) return t end
shared, text = 0, "s"
