-- What scripts see of Lua: the libraries that are safe to have, with the few functions that
-- are not replaced or gone. Runs once, before any script, when the guest is built.
--
-- `native` holds functions written in Rust. The fallible ones return true and their result,
-- or false and a message, which is raised here as text at the caller's line: that way scripts
-- catch text, as from any other Lua function. Where the host refused something that wasn't
-- granted, the number of that refusal comes with it.
local native = ...

local error, select, tostring, type = error, select, tostring, type
local concat, pack = table.concat, table.pack
local find, format, sub = string.find, string.format, string.sub
local getmetatable, next, setmetatable = getmetatable, next, setmetatable

local function raising(raw)
  return function(...)
    local ok, value, refusal = raw(...)
    if not ok then -- at the line past the function that this one is wrapped in
      if refusal then native.refuse(value, refusal) end
      error(value, 3)
    end
    return value
  end
end

-- The same for functions of any number of arguments: each takes a place on a stack of Rust's.
local function bounded(raw)
  raw = raising(raw)
  return function(...)
    if select("#", ...) > native.max_arguments then
      error("too many arguments (at most " .. native.max_arguments .. "); pass one table", 2)
    end
    return (raw(...))
  end
end

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
local date, difftime, time = os.date, os.difftime, os.time
dofile, loadfile, require, package, io, os, debug = nil
string.dump = nil

-- Bytecode isn't verified when it is loaded, so only text may be.
local load = _G.load
function _G.load(chunk, name, mode, ...)
  if mode ~= nil and not find(mode, "t", 1, true) then
    return nil, "attempt to load a text chunk (mode is '" .. mode .. "'); bytecode is not allowed"
  end
  return load(chunk, name, "t", ...)
end

-- Scripts may look at their memory, not tune the collector that the limits rely on.
local collectgarbage = _G.collectgarbage
function _G.collectgarbage(option)
  if option == "count" then return collectgarbage("count") end
  error("collectgarbage: only the option 'count' is allowed here", 2)
end

local write = native.print
function print(...)
  local line = pack(...)
  for i = 1, line.n do line[i] = tostring(line[i]) end
  write(concat(line, "\t", 1, line.n) .. "\n")
end

-- Without arguments Lua seeds from time and addresses, which are the same in every instance;
-- going on from the instance's own seed is not.
local random, randomseed = math.random, math.randomseed
function math.randomseed(...)
  if select("#", ...) == 0 then return randomseed(random(0), random(0)) end
  return randomseed(...)
end

null = native.null

local encode, decode = raising(native.encode), raising(native.decode)

json = {
  encode = function(value)
    return (encode(value))
  end,
  decode = function(text)
    if type(text) ~= "string" then
      error("bad argument #1 to 'decode' (string expected, got " .. type(text) .. ")", 2)
    end
    return (decode(text))
  end,
  array = function(t)
    if type(t) ~= "table" then
      error("bad argument #1 to 'array' (table expected, got " .. type(t) .. ")", 2)
    end
    return native.array(t)
  end,
}

local ask, services = raising(native.ask), native.services

local function text_argument(value, position, name)
  if type(value) ~= "string" then
    local given = value == nil and "no value" or type(value)
    local message = "bad argument #%d to '%s' (string expected, got %s)"
    error(format(message, position, name, given), 3)
  end
end

-- `require` of what the host has registered. Each module runs once.
local loaded, loading = {}, {}
local function require(name)
  text_argument(name, 1, "require")
  if loaded[name] ~= nil then return loaded[name] end
  if loading[name] then error("module '" .. name .. "' requires itself while it is loaded", 2) end
  local source = ask(services.Module, name, "")
  if source == nil then error("there is no module '" .. name .. "'", 2) end
  local chunk, message = load(source, "=module '" .. name .. "'", "t")
  if not chunk then error(message, 0) end
  loading[name] = true
  local _ <close> = setmetatable({}, { __close = function() loading[name] = nil end })
  local module = chunk(name)
  if module == nil then module = true end
  loaded[name] = module
  return module
end

-- Files beneath the folders that were granted, by name.
local fs = {
  read = function(path)
    text_argument(path, 1, "read")
    return (ask(services.Read, path, ""))
  end,
  write = function(path, content)
    text_argument(path, 1, "write")
    text_argument(content, 2, "write")
    ask(services.Write, path, content)
  end,
  append = function(path, content)
    text_argument(path, 1, "append")
    text_argument(content, 2, "append")
    ask(services.Append, path, content)
  end,
  list = function(path)
    text_argument(path, 1, "list")
    return (decode(ask(services.List, path, "")))
  end,
  stat = function(path)
    text_argument(path, 1, "stat")
    local stat = ask(services.Stat, path, "")
    return stat and (decode(stat))
  end,
  remove = function(path)
    text_argument(path, 1, "remove")
    ask(services.Remove, path, "")
  end,
  mkdir = function(path)
    text_argument(path, 1, "mkdir")
    ask(services.MakeFolder, path, "")
  end,
}

local function grant(with_clock, with_modules, with_files)
  if with_clock then
    local clock = native.stopwatch()
    -- Whether the call at hand may tell the time, which may be less than the instance may.
    local function telling(tell)
      return function(...)
        ask(services.Time, "", "")
        return tell(...)
      end
    end
    os = { clock = telling(clock), date = telling(date), difftime = difftime, time = telling(time) }
  end
  if with_modules then _G.require = require end
  if with_files then _G.fs = fs end
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
  freeze = function(table) variables = frozen(table) end,
  random = random,
  randomseed = randomseed,
  bounded = bounded,
  describe = describe,
}
