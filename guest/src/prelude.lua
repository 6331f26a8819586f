-- What scripts see of Lua: the libraries that are safe to have, with the few functions that
-- are not replaced or gone. Runs once, before any script, when the guest is built.
--
-- `native` holds functions written in Rust, and some that make such: those of Lua's own with something
-- before it. What scripts call is one of these wherever it can fail, so that errors name the
-- function that they called, at their line; where it is one of Lua written here, that stands aside.
local native = ...

local error, tostring, type = error, tostring, type
local sub = string.sub
local getmetatable, next, rawset, setmetatable = getmetatable, next, rawset, setmetatable
local running, status = coroutine.running, coroutine.status

-- Turns what an error was raised with into text, short enough to be passed on whole, and adds
-- where it came from, and itself if it wasn't text. Running out of memory doesn't come this way.
local function describe(value)
  local message
  if type(value) == "string" then
    message = value
  elseif type(value) == "table" and not getmetatable(value) then
    message = "(error object is a table value)"
  else
    message = tostring(value)
  end
  if #message > native.max_message then
    message = sub(message, 1, native.max_message) .. "... (" .. #message .. " bytes in all)"
  end
  return native.trace(message, value)
end

-- Files, modules, time and bytecode: none of them is a script's to have, unless `grant` below
-- gives some of it back.
local date, difftime, time = native.telling(os.date), os.difftime, native.telling(os.time)
dofile, loadfile, require, package, io, os, debug = nil
string.dump = nil

load = native.text_only(load)
collectgarbage = native.counting(collectgarbage)
print = native.print
math.randomseed = native.reseeding(math.random, math.randomseed)

null = native.null
json = { encode = native.encode, decode = native.decode, array = native.array }

-- Where Lua looks for the names of functions that were called without one, as by `pcall`.
local libraries = native.libraries
libraries.json, libraries.os, libraries.io, libraries.debug = json, nil, nil, nil

-- `require` of what the host has registered. Each module runs once. `loading` has the coroutine in
-- which one is being loaded: if that is at rest, or gone, it has been left where it yielded, and may be for
-- good. So somebody else may load the module, and who ends first has loaded it.
local loaded, loading = {}, setmetatable({}, { __mode = "v" })
local require = native.requiring(function(name)
  if loaded[name] ~= nil then return loaded[name] end
  local loader = loading[name]
  if loader then
    local doing = status(loader)
    if doing == "running" or doing == "normal" then
      return nil, "module '" .. name .. "' requires itself while it is loaded"
    end
  end
  local chunk, message, how = native.module(name)
  if not chunk then return nil, message, how end
  loading[name] = running()
  local _ <close> = setmetatable({}, { __close = function() loading[name] = nil end })
  local module = chunk(name)
  if loaded[name] == nil then
    if module == nil then module = true end
    loaded[name] = module
  end
  return loaded[name]
end)

-- In a copy of an instance scripts have run before: nothing here uses a global of theirs, or a metatable.
local globals = _G
local function provide(name, value) rawset(globals, name, value) end

local function grant(with_clock, with_modules, with_files)
  if with_clock then
    local os = { clock = native.clock, date = date, difftime = difftime, time = time }
    provide("os", os)
    rawset(libraries, "os", os)
  end
  if with_modules then provide("require", require) end
  if with_files then
    provide("fs", native.files)
    rawset(libraries, "fs", native.files)
  end
end

-- A view of a table that can be read and not written, and so for the tables in it. What leaves
-- the sandbox is the table itself, with all that it had when it came in.
local function frozen(value)
  if type(value) ~= "table" then return value end
  local inner = {}
  for k, v in next, value do inner[k] = frozen(v) end
  local view = setmetatable({}, {
    __index = inner,
    __newindex = function() error("variables are read-only", 2) end,
    __len = function() return #inner end,
    __pairs = function(view)
      local key, item
      return function()
        key, item = next(inner, key)
        return key, item
      end, view, nil
    end,
    __metatable = false,
  })
  native.view(view, value)
  return view
end

return {
  grant = grant,
  freeze = function(table) provide("variables", frozen(table)) end,
  random = math.random,
  randomseed = math.randomseed,
  describe = describe,
}
