-- Strings and patterns: searching, replacing, splitting, formatting, joining.
local words = {}
for word in ([[
the quick brown fox jumps over the lazy dog while seventeen wizards quietly box up
their jugs of liquor and a mad boxer shot a quick gloved jab to the jaw of his dizzy
opponent in front of 1234 people at 10:45 on 2024-02-29 for 99.95 per ticket
]]):gmatch("%S+") do
  words[#words + 1] = word
end

local lines = {}
for i = 1, 200 do
  local line = {}
  for j = 1, 12 do line[j] = words[(i * 7 + j * j) % #words + 1] end
  lines[i] = string.format("%04d|%s|%6.2f|%s", i, table.concat(line, " "), i / 7, ("x"):rep(i % 9))
end
local text = table.concat(lines, "\n")

local counts, vowels = {}, 0
for word in text:gmatch("%a+") do counts[word] = (counts[word] or 0) + 1 end
for _ in text:gmatch("[aeiou]") do vowels = vowels + 1 end
local swapped, swaps = text:gsub("(%w+) (%w+)", "%2 %1")
local upper = text:upper():gsub("%d+", function(digits) return tostring(#digits) end)
local dates = 0
for year, month, day in text:gmatch("(%d%d%d%d)-(%d%d)-(%d%d)") do
  dates = dates + tonumber(year) + tonumber(month) * tonumber(day)
end
local found, from = 0, 1
while true do
  local first, last = text:find("quick", from, true)
  if not first then break end
  found, from = found + 1, last + 1
end
local bytes = 0
for i = 1, #swapped do bytes = (bytes * 33 + swapped:byte(i)) % 1000000007 end
local reversed = {}
for i = 1, 200 do reversed[i] = lines[i]:reverse():sub(3, 40) end

local names = {}
for word in pairs(counts) do names[#names + 1] = word end
table.sort(names)
local summary = {}
for i, word in ipairs(names) do summary[i] = word .. "=" .. counts[word] end
return string.format("%d %d %d %d %d %d %d %s", #text, vowels, swaps, #upper, dates, found, bytes,
  #table.concat(reversed) .. summary[1] .. summary[#summary])
