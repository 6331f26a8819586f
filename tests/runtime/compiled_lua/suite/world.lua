-- What Lua's own test suite finds in place of what the sandbox doesn't have; the same natively.
_port, _soft, _nomsg, T = true, true, true, nil
ASSERTIONS = 0
local own_assert, own_collect = assert, collectgarbage
function assert(...)
  ASSERTIONS = ASSERTIONS + 1
  return own_assert(...)
end
function print() end
local function missing() error("this isn't in the sandbox", 2) end
-- A whole cycle of the collector's, or two, made of garbage. A finalizer can't have any, and is told so.
local collecting = false
function collectgarbage(option)
  if option == "count" then return own_collect("count") end
  if option ~= nil and option ~= "collect" and option ~= "step" then return 0 end
  if collecting then return false end
  collecting = true
  for _ = 1, 2 do
    local done, left = false, 15000
    setmetatable({}, { __gc = function() done = true end })
    while not done and left > 0 do
      local _ = string.rep("garbage", 1000)
      left = left - 1
    end
  end
  collecting = false
  return 0
end
io = { write = function() end, stderr = { write = function() end }, stdout = { write = function() end, setvbuf = function() end } }
os = { clock = function() return 0 end, time = function() return 1700000000 end, setlocale = function() end, getenv = function() end }
debug = setmetatable({}, { __index = function() return missing end })
package = { loaded = {}, preload = {}, config = "/\n;\n?\n!\n-\n" }
string.dump = missing
dofile, loadfile, warn = missing, missing, function() end
-- Modules are those of the sandbox, what a file makes itself, and `MODULES`: sources of the suite, which the test gives.
MODULES = {}
function require(name)
  local library = { string = string, table = table, math = math, coroutine = coroutine, utf8 = utf8, debug = debug, io = io, os = os }
  local made = library[name] or package.loaded[name]
  if made == nil then
    local make = package.preload[name] or MODULES[name] and own_assert(load(MODULES[name], "=" .. name)) or missing
    made = make(name)
    if made == nil then made = true end
    package.loaded[name] = made
  end
  return made
end
