-- What scripts see of Lua: the libraries that are safe to have, with the few functions that
-- are not replaced or gone. Runs once, before any script, when the guest is built.
--
-- `native` holds functions written in Rust. The fallible ones return true and their result,
-- or false and a message, which is raised here as text at the caller's line: that way scripts
-- catch text, as from any other Lua function.
local native = ...

local error, select, tostring, type = error, select, tostring, type
local concat, pack = table.concat, table.pack
local find = string.find

local function raising(raw)
  return function(...)
    local ok, value = raw(...)
    if not ok then error(value, 2) end
    return value
  end
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

json = {
  encode = raising(native.encode),
  decode = raising(native.decode),
  array = function(t)
    if type(t) ~= "table" then
      error("bad argument #1 to 'array' (table expected, got " .. type(t) .. ")", 2)
    end
    return native.array(t)
  end,
}

return {
  seed = function(low, high) randomseed(low, high) end,
  raising = raising,
}
