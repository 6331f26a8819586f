-- Patterns: what is in each class, made-up patterns over made-up subjects, and how errors read.
local state = 20240229
local function random(n)
  state = (state * 1103515245 + 12345) % 2147483648
  return state // 65536 % n + 1
end
local function pick(list) return list[random(#list)] end
local function show(...)
  local shown = table.pack(...)
  for n = 1, shown.n do
    shown[n] = type(shown[n]) == "string" and ("%q"):format(shown[n]):gsub("\n", "n") or tostring(shown[n])
  end
  return table.concat(shown, " ", 1, shown.n)
end

-- Every character against every class, alone, in brackets, and as what is between two others.
local all = {}
for c = 0, 255 do all[#all + 1] = string.char(c) end
all = table.concat(all)
local function members(class)
  local sum, count = 0, 0
  for c in all:gmatch(class) do
    for at = 1, #c do sum, count = (sum * 257 + c:byte(at)) % 1000000007, count + 1 end
  end
  return count, sum
end
for c = 0, 255 do
  local letter = string.char(c)
  if letter ~= "b" and letter ~= "f" and not letter:find("%d") then
    note("class", c, pcall(members, "%" .. letter))
    note("repeated", c, pcall(members, "%" .. letter .. "+"))
  end
  note("set", c, pcall(members, "[%" .. letter .. "]"))
  note("complement", c, pcall(members, "[^%" .. letter .. "x]+"))
  note("range", c, pcall(members, "[" .. letter .. "-z]"), pcall(members, "[^" .. letter .. "-~%d]"))
  note("itself", c, pcall(members, letter), pcall(members, "()" .. letter .. "?"))
  note("plain", c, pcall(string.find, all, letter), pcall(string.find, all, letter, c, true))
end

local items = {
  "a", "b", "c", "x", ".", "%a", "%d", "%s", "%w", "%S", "%W", "%p", "%%", "%.", "[abc]", "[^abc]", "[a-c]", "[^%s]",
  "[%a_]", "[]]", "[^]]", "[a-]", "[%-x]", "[^%w%s]", "$", "^", "-", "]", "\0", "%z", "\xe9", "[\xe0-\xff]", " ", "1",
  "[%%-a]", "[a%]b]", "[b-a]", "[--/]",
}
local suffixes = { "", "", "", "", "*", "+", "-", "?" }
local odd = { "%b()", "%bxx", "%f[%w]", "%f[^%w]", "%1", "%2", "()", "(", ")", "%", "[", "[^", "%b", "%f", "[a", "[%", "%9", "%0" }
local function pattern()
  local parts, open = {}, 0
  if random(8) == 1 then parts[1] = "^" end
  for _ = 1, random(6) do
    local kind = random(14)
    if kind <= 2 and open < 3 then
      parts[#parts + 1] = random(5) == 1 and "()" or "("
      if parts[#parts] == "(" then open = open + 1 end
    elseif kind <= 4 and open > 0 then
      parts[#parts + 1] = ")"
      open = open - 1
    elseif kind == 5 and random(3) == 1 then
      parts[#parts + 1] = pick(odd)
    else
      parts[#parts + 1] = pick(items) .. pick(suffixes)
    end
  end
  if random(10) > 1 then parts[#parts + 1] = (")"):rep(open) end
  if random(8) == 1 then parts[#parts + 1] = "$" end
  return table.concat(parts)
end
local alphabet = { "a", "a", "b", "c", "x", " ", "1", "2", ".", "%", "(", ")", "[", "]", "-", "^", "$", "_", "\0", "\xe9", "\n", "ab", "abc" }
local function subject()
  local parts = {}
  for n = 1, random(5) == 1 and random(20) or random(12) - 1 do parts[n] = pick(alphabet) end
  return table.concat(parts)
end
local replacements = { "", "x", "%0", "%1", "<%0>", "%2%1", "%%", "%", "%a", "é%1\0", ("long "):rep(30), 7, 1.5 }
local function collected(text, at)
  local found = {}
  for a, b, c in text:gmatch(at) do
    found[#found + 1] = show(a, b, c)
    if #found > 50 then break end
  end
  return table.concat(found, "|")
end
for round = 1, 1500 do
  local text, at = subject(), pattern()
  local from = random(4) == 1 and random(16) - 8 or nil
  note(round, show(at, text, from))
  note("find", show(pcall(string.find, text, at, from)))
  note("match", show(pcall(string.match, text, at, from)))
  note("plain", show(pcall(string.find, text, at, from, true)))
  note("gmatch", show(pcall(collected, text, at)))
  note("from", show(pcall(string.gmatch(text, at, from or 2))))
  local most = random(4) == 1 and random(6) - 2 or nil
  note("gsub", show(pcall(string.gsub, text, at, pick(replacements), most)))
  local kept = { a = "A", b = false, ab = 12, [1] = "first", [" "] = "" }
  note("table", show(pcall(string.gsub, text, at, kept, most)))
  local calls = 0
  note("function", show(pcall(string.gsub, text, at, function(...)
    calls = calls + 1
    if calls % 3 == 0 then return nil end
    return show(...)
  end, most)))
end

-- Long subjects, and repetitions that have to give back what they took.
local long = ("abc "):rep(300) .. "key = [value] " .. ("x"):rep(500) .. "y"
for _, at in ipairs {
  "x+y", "x*y", "x-y", "(x+)(y)", ".*c", ".-k", "(.-)%s=", "%[(.-)%]", "%[([^%]]*)%]", "(%w+) = ", "(%w+)%s*=%s*(%b[])", "x+$", "x+x$",
  "([^=]+)=", "()y()", "(a)(b)(c)", "((a)(b))c", "%S+$", "[^ ]-y", "(x-)x$", ".+%d", "(.)%1", "(%a+).-%1", "%f[x]x+", "[xyz]+$", "z*$", "",
} do
  note(at, show(long:find(at)))
  note(at, show(select(2, long:gsub(at, "%0%0"))))
end

-- How errors read, and where they are raised.
for _, at in ipairs {
  "%", "a%", "[", "[a", "[^", "[%", "(", ")", "a)", "(()", "%1", "(%1)", "%b", "%ba", "%f", "%fa", "(a)%2", ("(a"):rep(33), ("()"):rep(33), ("(a)"):rep(33),
  ("a?"):rep(250), ("(a*"):rep(20) .. (")"):rep(20), ("a-"):rep(210) .. "b", ("."):rep(250),
  ("a*"):rep(198) .. "[", ("a*"):rep(199) .. "(b", ("(a"):rep(30) .. "%", "a*%", "a+(%", "a*)", "[a]*)", "a-(", "a-[b", "b*[",
} do
  for _, text in ipairs { "", "a", "b", ("a"):rep(300) } do
    note(#at, #text, pcall(string.find, text, at))
    note(#at, #text, pcall(string.gsub, text, at, "%1"))
    note(#at, #text, pcall(string.gsub, text, at, "x", 0))
    note(#at, #text, pcall(function() for a in text:gmatch(at) do return a end end))
    note(#at, #text, pcall(function() return text:match(at, 400) end))
  end
end
for n = 190, 201 do -- about as deep as patterns may get
  for _, rest in ipairs { "", "a", "(a)", "()a", "(a)(a)", "((a))", "a+", "a+a", "(a*)a", "[a]+a" } do
    note(n, rest, pcall(string.find, "aaaab", ("a-"):rep(n) .. rest))
    note(n, rest, pcall(string.find, "aaaab", ("a-"):rep(n - 1) .. "(a-)" .. rest))
  end
end
for _, call in ipairs {
  function() return ("x"):find() end,
  function() return ("x"):find({}) end,
  function() return ("x"):find("x", "y") end,
  function() return ("x"):find("x", 1.5) end,
  function() return ("x"):find("x", "1") end,
  function() return (12):rep(2) end,
  function() return string.find(12, 2) end,
  function() return string.find(nil, "x") end,
  function() return ("x"):gsub("x", nil) end,
  function() return ("x"):gsub("x", true) end,
  function() return ("x"):gsub("x", print, {}) end,
  function() return ("x"):gsub("x", function() return {} end) end,
  function() return ("x"):gsub("x", { x = true }) end,
  function() return ("x"):gsub("x", "%2") end,
  function() return ("x"):gsub("(x)(", "%2") end,
  function() return ("x"):gsub(".", setmetatable({}, { __index = function(_, key) return key .. key end })) end,
  function() return ("xyz"):gsub("y", error) end,
  function() return ("xyz"):gsub("", "-") end,
  function() return ("xyz"):gsub("^", "-") end,
  function() return ("xyz"):gsub("$", "-") end,
  function() return ("xyz"):gsub("%w", "%0%0", 2) end,
  function() return ("x^y"):gmatch("^y")() end,
} do
  note("call", pcall(call))
end
-- The log is text.
return (table.concat(log, "\n"):gsub("[\x80-\xff]", function(c) return ("\\x%02x"):format(c:byte()) end))
