-- Runs a program in several ways, with values of all kinds. `n` is its number, `f` its function.

local values = { 0, 1, -1, 3, 1.0, -0.5, 2.5, 1e15, math.maxinteger, math.mininteger, "4", "x", "2.5",
  true, false, 2^53, -0.0, 0/0, 1/0, 64, "0x10", " 7 ", 1 << 31, {}, object, child, pausing, grandchild, function() return "called" end }
local function value(n)
  local v = values[n % (#values + 1) + 1]
  if v == object or v == child or v == pausing or v == grandchild then return v() end
  return type(v) == "table" and { 5, 6, 7, x = 8 } or v
end

local function resume_all(n, k, f)
  local co = coroutine.create(f)
  local a, b, c = value(n + k), value(k), value(n)
  for turns = 1, 6 do
    note(n, k, turns, coroutine.resume(co, a, b, c))
    if coroutine.status(co) ~= "suspended" then break end
    a, b, c = value(k + turns), turns, value(n + turns)
  end
  note(n, k, coroutine.status(co), coroutine.close(co))
end

local ways = {
  function(n, k, f) note(n, k, pcall(f, value(n + k), value(n * 3 + k * 5), value(n * 7 + k * 2), k, value(k))) end,
  resume_all,
  function(n, k, f) note(n, k, pcall(f, n % 5, k)) end,
  function(n, k, f) note(n, k, xpcall(f, function(e) note("handles", e) return e, 1 end, value(k), value(n))) end,
  function(n, k, f)
    local co = coroutine.wrap(function() return "through", f(value(n + k), value(k), value(n)) end)
    note(n, k, pcall(co))
    note(n, k, pcall(co, k))
  end,
  function(n, k, f) note(n, k, pcall(string.gsub, "a", ".", function() return show((f(value(k), value(n)))) end)) end,
  function(n, k, f) note(n, k, pcall(f, 1 + k, 2.5, 3)) end,
  function(n, k, f)
    local ok, e = pcall(function() local x = f(value(n + k * 7), value(k * 3)) return x end)
    note(n, k, ok, e)
  end,
}
function run(n, f, times)
  for k = 0, times - 1 do
    left = 60
    ways[k % #ways + 1](n, k, f)
  end
end
