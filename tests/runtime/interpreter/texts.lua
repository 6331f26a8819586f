-- Functions that are called for one value, numbers as text and back, texts that are joined.
local state = 4711
local function random(n)
  state = (state * 1103515245 + 12345) % 2147483648
  return state // 65536 % n + 1
end
local huge, nan = math.huge, 0 / 0
local max, min = math.maxinteger, math.mininteger

-- What has a single letter for a result, or a part of a text.
local byte, char, sub, len = string.byte, string.char, string.sub, string.len
local texts = { "", "a", "ab", "\0\xff", "hello", ("long text, "):rep(9), 12, 1.5 }
local places = { 1, 2, 3, 0, -1, -2, -5, -6, 5, 6, 40, 99, -99, 100, max, min, 1.0, "2", 2.5, "x", nil, {} }
for _, text in ipairs(texts) do
  note(pcall(function() local n = len(text) return n end))
  note(pcall(function() local b = byte(text) return b end))
  note(pcall(function() return byte(text) end))
  for n = 1, 22 do
    local i = places[n]
    note(text, i, pcall(function() local b = byte(text, i) return b end))
    note(text, i, pcall(function() local b = text:byte(i) return b end))
    note(text, i, pcall(function() local b = sub(text, i) return b end))
    note(text, i, pcall(function() local b = sub(text, i, i) return b, #b end))
    note(text, i, pcall(function() return byte(text, i) end))
    note(text, i, pcall(function() byte(text, i) return "none" end))
    note(text, i, pcall(function() local a, b = byte(text, i) return a, b end))
    note(text, i, pcall(function() local a, b = sub(text, i, i) return a, b end))
    for m = 1, 22 do
      local j = places[m]
      note(text, i, j, pcall(function() local b = byte(text, i, j) return b end))
      note(text, i, j, pcall(function() local b = sub(text, i, j) return b end))
    end
    note(i, pcall(function() local c = char(i) return c end))
    note(i, pcall(function() local c = char(i, 65) return c end))
    note(i, pcall(function() local n = len(i) return n end))
  end
end
for c = -1, 256 do
  note(c, pcall(function() local text = char(c) return text, #text, text:byte() end))
end
local whole = char(table.unpack((function() local t = {} for c = 0, 255 do t[c + 1] = c end return t end)()))
local sum = 0
for round = 1, 3 do
  for i = 1, #whole do
    local c = whole:sub(i, i)
    sum = (sum * 31 + c:byte() + #c + whole:byte(i) + whole:byte(-i)) % 1000000007
    if round == 2 then collectgarbage("count") end
  end
end
note(sum)
local called = 0
local mine = setmetatable({}, { __call = function(_, ...) called = called + select("#", ...) return "mine" end })
for _, f in ipairs { byte, mine, sub, print and char, mine, function(...) return "Lua", ... end } do
  note(pcall(function() local x = f("1", 1, 1) return x end))
end
note(called)

-- Numbers.
local numbers = {
  0, 1, -1, 7, max, min, max - 1, 0.0, -0.0, 0.5, -0.5, 1.5, 2.5, -2.5, 1e15, -1e15, 2 ^ 53, 2 ^ 62, 2 ^ 63, -2 ^ 63, -2 ^ 64, 1e300, 1e-300, huge,
  -huge, nan, "10", "0x10", "1.5", "x", "", {}, true,
}
for _, name in ipairs { "floor", "ceil", "sqrt", "abs", "max", "min", "tointeger", "type" } do
  local f = math[name]
  note(name, pcall(function() local x = f() return x end))
  for n, a in ipairs(numbers) do
    note(name, n, pcall(function() local x = f(a) return x, math.type(x) end))
    note(name, n, pcall(function() return f(a) end))
    for m, b in ipairs(numbers) do
      note(name, n, m, pcall(function() local x = f(a, b) return x, math.type(x) end))
      note(name, n, m, pcall(function() local x = f(a, b, 3) return x, math.type(x) end))
    end
  end
end

local function number()
  local kind = random(10)
  local n = (random(32768) - 1) * 32768 + random(32768) - 1
  if kind == 1 then return n / 100
  elseif kind == 2 then return n / 1000
  elseif kind == 3 then return n / 8192
  elseif kind == 4 then return -n / 7
  elseif kind == 5 then return n * 2.0 ^ -(random(80))
  elseif kind == 6 then return n * 10.0 ^ (random(30) - 15)
  elseif kind == 7 then return (2 * random(2000) + 1) / 2 ^ random(12)
  elseif kind == 8 then return -random(1000) / 10 ^ random(6)
  elseif kind == 9 then return n
  else return string.unpack("<d", string.pack("<I4I4", n, random(32768) * 65536 + random(65536) - 1))
  end
end
local formats = {
  "%f", "%.0f", "%.1f", "%.2f", "%.3f", "%.4f", "%5.1f", "%-9.2f|", "%09.2f", "%+.2f", "% .2f", "%+09.3f", "%-+9.1f|", "%#.0f", "%99.3f", "%.14g", "%g",
  "%5.3f", "%2.1f", "%.f", "%.03f", "%1.2f", "%-09.2f|", "%+ .1f", "% +.1f", "%.10f", "%e",
}
local wholes = {
  "%d", "%i", "%5d", "%-5d|", "%05d", "%+d", "% d", "%+05d", "%-+9d|", "%.3d", "%09.3d", "%x", "%X", "%08x", "%-8X|", "%#x", "%#010x", "%o", "%.4x",
  "%99d", "%-099d|", "% 05d", "%+ d", "% +d", "%x%%%X",
}
for _, n in ipairs { 0.0, -0.0, 0.5, 1.5, 2.5, -0.5, 0.125, 0.375, 0.005, 0.015, 1.005, 2.675, 0.0625, 999.9995, 0.9995, 99.5, 9.995, -0.0001, 1e15, 1e15 - 0.25,
  123456789012345.67, 1e22, 5e-324, 2.2250738585072014e-308, 1e308, huge, -huge, nan, 4503599627370495.5, 0.1, 0.2, 0.3, 0.7, 1 / 3, 2 / 3 } do
  for _, format in ipairs(formats) do note(format, format:format(n)) end
  note(tostring(n), n .. "", ("%s"):format(n))
end
for _ = 1, 1500 do
  local n = number()
  local line = { tostring(n), n .. "", ("%s"):format(n), ("%.17g"):format(n) }
  line[#line + 1] = tostring(tonumber(line[1]) == n) .. tostring(tonumber(line[4]) == n)
  for _ = 1, 4 do
    local format = formats[random(#formats)]
    line[#line + 1] = format:format(n)
  end
  local i = math.tointeger(n // 1) or random(32768) << random(60)
  for _ = 1, 3 do
    local format = wholes[random(#wholes)]
    line[#line + 1] = format:format(random(3) == 1 and -i or i, i)
  end
  note(table.concat(line, " "))
end
for _, format in ipairs(wholes) do
  for _, i in ipairs { 0, 1, -1, 10, 99, 100, -100, max, min, min + 1, 255, 4096 } do note(format, format:format(i, i)) end
end
for _, format in ipairs { "%d", "%5.1f", "%s", "%x", "%c", "%5s|", "%-5s|", "%.2s|", "%q", "%y", "%", "%5", "%#d", "%05s", "%0.5d", "%.123f", "%123d", "%+x", "% x", "%ll", "%-", "%i%", "%.1.1f" } do
  for _, value in ipairs { 1, 1.5, "1.5", "12", "text", "with\0zero", {}, true, 65 } do
    note(format, pcall(string.format, format, type(value) == "table" and setmetatable(value, { __tostring = function() return "a table" end }) or value))
  end
  note(format, pcall(string.format, format), pcall(string.format, "some text " .. format .. " and more", nil))
end
note(("%s|%s|%s"):format("", ("x"):rep(600), "y"), ("%d%%"):format(5), ("%%"):format(), ("no more"):format(1, 2))
local meta = getmetatable("")
meta.__tostring = function(text) return "<" .. #text .. ">" end
note(("%s %5s"):format("abc", "abc"), tostring("abc"))
meta.__tostring = nil
meta.__name = "TEXT"
note(("%s %5s"):format("abc", "abc"), tostring("abc"))
meta.__name = nil

for _, text in ipairs {
  "0", "1", "-1", "+1", "1.", ".1", ".", "-.", "1e5", "1e+5", "1e-5", "1E5", "1e", "1e+", "1.5e3", "1.5e-3", "0.1", "0.30000000000000004", "123456789012345",
  "1234567890123456", "12345678901234567890", "9007199254740993", "9007199254740993.0", "0.000000000000000000000000000001", "1e22", "1e23", "1e-22", "1e-23",
  "123456789012345e7", "1e308", "1e309", "1e-324", "5e-324", "1e99", "1e100", "1e999", "0e999", "-0", "-0.0", " 1.5", "1.5 ", "1.5x", "1.5\0", "inf", "nan", "-inf", "0x1p4",
  "0x.8", "0x", "1_0", "1,5", "--1", "+-1", "- 1", "00012.50", "000000000000000000001.5", "1.50000000000000000000", "1..5", "1.5.", "1e5.5", "1f", "1d5", "\t1.25\n", "",
} do
  local n = tonumber(text)
  note(text, n, n and math.type(n), n and ("%.17g"):format(n), pcall(function() return text + 0 end))
end
for _ = 1, 1500 do
  local digits = {}
  for i = 1, random(18) do digits[i] = random(10) - 1 end
  if random(3) > 1 then table.insert(digits, random(#digits + 1), ".") end
  if random(2) == 1 then digits[#digits + 1] = "e" .. random(60) - 30 end
  local text = (random(4) == 1 and "-" or "") .. table.concat(digits)
  local n = tonumber(text)
  note(text, n, n and ("%.17g"):format(n))
end

-- Joining.
local function joined(...)
  local ok, text = pcall(table.concat, ...)
  note(ok, #text, text)
end
local lists = {
  {}, { "a" }, { "a", "b", "c" }, { "a", 1, 2.5 }, { "a", nil, "c" }, { "a", {}, "c" }, { [1] = "x", [3] = "z" }, { n = "x" }, { "a", true },
  { ("x"):rep(39), "y" }, { ("x"):rep(39), "yz" }, { ("x"):rep(600), ("y"):rep(600) }, { "\0", "\0\0" }, { "", "", "" },
  setmetatable({}, { __index = function(_, i) return "i" .. i end, __len = function() return 4 end }),
  setmetatable({ "a", "b" }, { __len = function() return 1 end }), setmetatable({ "a", "b" }, { __len = function() return "x" end }),
}
for _, list in ipairs(lists) do
  joined(list)
  for _, separator in ipairs { "", ", ", "\0", ("-"):rep(50), 7, {} } do
    joined(list, separator)
    for _, first in ipairs { 1, 2, 3, 0, -1, "1", 1.5, max } do
      joined(list, separator, first)
      for _, last in ipairs { 0, 1, 2, 3, 4, "2", min } do joined(list, separator, first, last) end
    end
  end
  joined(list, nil, nil, 2)
  joined(list, nil, 2, nil)
  joined(list, ";", 1, 1, "more")
end
joined()
joined("text")
joined(nil, ",")
joined({ "a", "b" }, ",", max, max)
joined({ "a", "b" }, ",", min, min)
local grown = {}
for i = 1, 300 do
  grown[#grown + 1] = "item " .. i
  if i % 37 == 0 then grown[#grown], grown[#grown - 1] = nil, nil end
  joined(grown, i % 3 == 0 and "," or nil)
end
for _, n in ipairs { 0, 1, 2, 39, 40, 41, 511, 512, 513, 1024, 5000, -1 } do
  local text = ("aB"):rep(n // 2) .. ("z"):rep(n % 2)
  note(n, text:upper(), text:lower(), text:reverse(), ("xy"):rep(n), ("xy"):rep(n, ", "), ("" .. text .. n .. 1.5 .. text))
end
note(pcall(string.rep, "x", 1 << 40), pcall(string.rep, "", 100), pcall(string.rep, "x", -5), pcall(string.rep, "x", "3", 1))

-- What is inherited from further up.
local function inherit(levels, last)
  local object = last
  for level = 1, levels do
    object = setmetatable({ ["own" .. level] = level, shared = level % 2 == 0 and level or nil }, { __index = object })
  end
  return object
end
for levels = 0, 14 do
  for _, last in ipairs { {}, { top = "top", method = function(self, x) return x, self ~= nil end }, setmetatable({}, { __index = function(_, key) return "for " .. key end }),
    setmetatable({}, { __index = "text" }), setmetatable({}, {}) } do
    local object = inherit(levels, last)
    note(levels, object.top, object.own1, object.own2, object.shared, object["own" .. levels], object.missing)
    note(levels, pcall(function() return object:method(levels) end))
    note(levels, pcall(function() return object.top.x end))
    object.top = levels
    note(levels, object.top, rawget(last, "top"))
  end
end
local a, b = {}, {}
setmetatable(a, { __index = b })
setmetatable(b, { __index = a })
note(pcall(function() return a.x end))
note(pcall(function() return a:x() end))
-- The log is text.
return (table.concat(log, "\n"):gsub("[\x80-\xff]", function(c) return ("\\x%02x"):format(c:byte()) end))
