-- Runs a random program of calls, errors, yields and what catches them, and returns its log. All
-- is decided by the seed, so that every Lua has to write the same.
local seed = ...

local error, pcall, xpcall, assert, select = error, pcall, xpcall, assert, select
local setmetatable, tostring, type = setmetatable, tostring, type
local coroutine, table, string = coroutine, table, string

local function random(n)
  seed = (seed * 6364136223846793005 + 1442695040888963407)
  return ((seed >> 33) % n) + 1
end

-- Tables are named in the order in which they are seen, since addresses differ.
local names, count = {}, 0
local function show(value)
  if type(value) == "string" or type(value) == "number" or type(value) == "boolean" then
    return (string.gsub(tostring(value), "0x%x+", "at"))
  elseif value == nil then
    return "nil"
  end
  if not names[value] then
    count = count + 1
    names[value] = type(value) .. count
  end
  return names[value]
end

local log = {}
local function note(what, ...)
  local line = { what }
  for i = 1, select("#", ...) do line[i + 1] = show((select(i, ...))) end
  log[#log + 1] = table.concat(line, " ")
  return ...
end

-- What may be left to do, in all.
local left = 300

local step

local values = {
  function() return "text" end,
  function() return {} end,
  function() return nil end,
  function() return random(100) end,
  function() return random(2) == 1 end,
  function() return setmetatable({}, { __tostring = function() return "shown" end }) end,
}
local function value() return values[random(#values)]() end

local function pass(f, ...) return f(...) end
local function pass_and_add(f, ...)
  local a = f(...)
  return a, "added"
end

local raises = {
  function(v) error(v) end,
  function(v) error(v, 0) end,
  function(v) error(v, 2) end,
  function(v) error(v, random(4)) end,
  function(v) return error(v) end,
  function(v, ...) return error(v, ...) end,
  function(...) return error(...) end,
  function(v) return pass(error, v, 2) end,
  function(v) return pass_and_add(error, v) end,
  function(v) assert(false, v) end,
  function(v) return assert(nil, v) end,
  function() assert(false) end,
  function() assert() end,
  function(v) local x = 1 + error(v) return x end,
  function(v) local t = { error(v), 2 } return t end,
  function(v) return v.field.field end,
  function(v) return v + {} end,
  function(v) v() end,
  function() string.rep() end,
  function() error() end,
  function(v) setmetatable({}, { __call = error })(v) end,
  function(v) return setmetatable({}, { __call = error })(v) end,
  function(v) return setmetatable({}, { __index = error })[v] end,
  function(v) setmetatable({}, { __gc = true })[nil] = v end,
}

local yields = {
  function(v) return coroutine.yield(v) end,
  function(v) return (coroutine.yield(v, v)) end,
  function(...) return coroutine.yield(...) end,
  function(v, ...) local a, b = coroutine.yield(v, ...) return b, a end,
  function(v) return pass(coroutine.yield, v) end,
  function(v) return select(2, pcall(coroutine.yield, v)) end,
  function(v) return pcall(coroutine.yield, v) end,
}

local handlers = {
  function(e) return e end,
  function(e) return { e } end,
  function(e) note("handles", e) return e, "more" end,
  function(e) error(e) end,
  function(e) return error(e, 0) end,
  function(e) if random(3) == 1 then return "enough" end error(show(e) .. "!", 0) end,
  function(e) note("inside", pcall(error, e)) return e end,
  function(e) return coroutine.yield(e) end,
  function(e) return step(0) end,
  error,
  tostring,
  coroutine.wrap(function() error("handler") end),
}

local function resume_all(co, ...)
  note("resumed", coroutine.resume(co, ...))
  for _ = 1, random(4) do
    if coroutine.status(co) ~= "suspended" then break end
    note("resumed", coroutine.resume(co, value()))
  end
  note("status", coroutine.status(co))
  if random(3) == 1 then note("resumed", coroutine.resume(co)) end
  if random(2) == 1 then note("closed", coroutine.close(co)) end
  return coroutine.status(co)
end

local actions = {
  function(d) return note("pcall", pcall(step, d)) end,
  function(d) note("pcall", pcall(step, d)) return "went on" end,
  function(d) return pcall(step, d) end,
  function(d) return note("pcalls", pcall(pcall, step, d)) end,
  function(d) return note("pcalls", pcall(pass, pcall, step, d)) end,
  function(d) return note("xpcall", xpcall(step, handlers[random(#handlers)], d)) end,
  function(d) return xpcall(step, handlers[random(#handlers)], d) end,
  function(d) return note("pcall", pcall(error, value())) end,
  function(d) return note("assert", pcall(assert, random(2) == 1, value(), value())) end,
  function(d) return note("select", pcall(raises[random(#raises)], value())) end,
  function(d) raises[random(#raises)](value()) end,
  function(d) return raises[random(#raises)](value()) end,
  function(d) local a, b = raises[random(#raises)](value()) return b, a end,
  function(d)
    if coroutine.isyieldable() then note("back", yields[random(#yields)](value())) end
    return step(d)
  end,
  function(d)
    if coroutine.isyieldable() or random(8) == 1 then return yields[random(#yields)](value()) end
    return step(d)
  end,
  function(d) return resume_all(coroutine.create(step), d) end,
  function(d) return resume_all(coroutine.create(pcall), step, d) end,
  function(d) return resume_all(coroutine.create(random(2) == 1 and error or assert), value()) end,
  function(d)
    local co = coroutine.wrap(step)
    note("wrap", co(d))
    for _ = 1, random(3) do note("wrap", pcall(co, value())) end
    return co()
  end,
  function(d) return coroutine.wrap(step)(d) end,
  function(d) return note("wrapped", pcall(coroutine.wrap(raises[random(#raises)]), value())) end,
  function(d) for x in coroutine.wrap(step), d do note("item", x) if random(2) == 1 then break end end end,
  function(d) return step(d) end,
  function(d) return (step(d)) end,
  function(d) return step(d), step(d) end,
  function(d) return pass(step, d) end,
  function(d) return pass_and_add(step, d) end,
  function(d)
    local x <close> = setmetatable({}, { __close = function(_, e) note("closing", e) step(d) end })
    return step(d)
  end,
  function(d)
    local x <close> = setmetatable({}, { __close = function(_, e) note("closing", e) end })
    local y <close> = setmetatable({}, { __close = function(_, e) note("closing", e) step(0) end })
    return step(d)
  end,
  function(d)
    local x <close> = setmetatable({}, { __close = random(2) == 1 and error or pcall })
    return step(d)
  end,
  function(d)
    local n = 0
    local function get() return n end
    local ok = pcall(function() n = n + 1 local m = n get = function() m = m + 1 return m end step(d) n = 5 end)
    note("upvalues", ok, n, get(), get())
  end,
  function(d)
    local t = setmetatable({}, {
      __index = function() return (step(d)) end,
      __newindex = function() step(d) end,
      __add = function() return step(d) end,
      __concat = function() return step(d) end,
      __eq = function() return step(d) end,
      __lt = function() return step(d) end,
      __len = function() return step(d) end,
      __unm = function() return (step(d)) end,
      __call = function(_, ...) return step(...) end,
      __tostring = function() return step(d) end,
      __close = function() step(d) end,
    })
    local uses = {
      function() return t.x end, function() t.x = 1 end, function() return t + 1 end,
      function() return "a" .. t end, function() return t == setmetatable({}, getmetatable(t)) end,
      function() return t < t end, function() return #t end, function() return -t end,
      function() return t(d) end, function() return (t(d)) end, function() return tostring(t) end,
      function() local x <close> = t end, function() return not (t < t) end,
    }
    local use = uses[random(#uses)]
    if random(2) == 1 then return use() end
    return note("metamethod", pcall(use))
  end,
  function(d) for x in step, d do note("item", x) if random(2) == 1 then break end end end,
  function(d)
    local closing = setmetatable({}, { __close = function(_, e) note("loop ends", e) step(d) end })
    for x in function(_, last) if not last then return 1 end return step(d) end, nil, nil, closing do
      note("item", x)
      if random(3) == 1 then break end
    end
  end,
  function(d)
    local t = { 3, 1, 2 }
    return note("sort", pcall(table.sort, t, function(a, b) if random(3) == 1 then step(d) end return a < b end))
  end,
  function(d) return (string.gsub("ab", ".", function() return (step(d)) and "x" end)) end,
  function(d) return note("unpack", pcall(table.unpack, setmetatable({}, { __index = function() return (step(d)) end }), 1, 2)) end,
  function(d) local ok, e = pcall(step, d) if not ok then error(e, 0) end return e end,
  function(d) local ok, e = pcall(step, d) if not ok then return error(e, 2) end return ok end,
}

function step(d, ...)
  left = left - 1
  if type(d) ~= "number" or d <= 0 or left <= 0 then
    if random(2) == 1 then return raises[random(#raises)](value()) end
    return value(), value()
  end
  return actions[random(#actions)](d - 1)
end

for _ = 1, 8 do
  note("at the top", pcall(step, 9))
  note("at the top", xpcall(step, handlers[random(3)], 7))
  note("in a coroutine", resume_all(coroutine.create(step), 9))
end
return table.concat(log, "\n")
