-- What scripts see of Lua: the libraries that are safe to have, with the few functions that
-- are not replaced or gone. Runs once, before any script, when the guest is built.
--
-- `native` holds functions written in Rust. The fallible ones return true and their result,
-- or false and a message, which is raised here as text at the caller's line: that way scripts
-- catch text, as from any other Lua function.
local native = ...

local error, select, tostring, type = error, select, tostring, type
local concat, pack = table.concat, table.pack
local find, sub = string.find, string.sub
local getmetatable, xpcall = getmetatable, xpcall

local function raising(raw)
  return function(...)
    local ok, value = raw(...)
    if not ok then error(value, 3) end -- past the function that this one is wrapped in
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
-- where it came from. Running out of memory doesn't come this way.
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
  return native.trace(message)
end

-- Files, modules and bytecode: none of them is a script's to have.
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

return {
  seed = function(low, high) randomseed(low, high) end,
  bounded = bounded,
  run = function(f, ...) return xpcall(f, describe, ...) end,
}
