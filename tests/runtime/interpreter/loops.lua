-- Numeric loops at the edges of what they can count.
local bounds = {
  0, 1, -1, 3, -3, 10, 1.0, 2.5, -2.5, math.maxinteger, math.mininteger,
  math.maxinteger - 1, math.mininteger + 1, 1/0, -1/0, 0/0, 2^53, 1e300, "3", {}, false,
}
local steps = {1, -1, 2, -2, 0, 0.5, -0.5, 0.0, math.maxinteger, math.mininteger, "1", {}}
for a = 1, #bounds do
  for b = 1, #bounds do
    for c = 1, #steps do
      local seen, rounds = {}, 0
      local ok, message = pcall(function()
        for n = bounds[a], bounds[b], steps[c] do
          rounds = rounds + 1
          seen[#seen + 1] = ("%s %s"):format(math.type(n), n)
          if rounds == 4 then break end
        end
      end)
      note(a, b, c, ok, ok or message, table.concat(seen, ", "))
    end
    local seen, rounds = {}, 0
    local ok, message = pcall(function()
      for n = bounds[a], bounds[b] do
        rounds = rounds + 1
        seen[#seen + 1] = n
        if rounds == 4 then break end
      end
    end)
    note(a, b, ok, ok or message, table.concat(seen, ", "))
  end
end
for n = 3, 1 do note("never", n) end
for n = 1, 3 do local was = n n = n * 10 note(was, n) end

-- ipairs: of lists with holes, lists that change under way, and what only looks like a list.
local function each(list, limit)
  local seen = {}
  for n, value in ipairs(list) do
    seen[#seen + 1] = n .. "=" .. tostring(value)
    if n == (limit or 100) then break end
  end
  note(table.concat(seen, " "))
end
each {}
each {1, 2, 3}
each {1, 2, nil, 4}
each {nil, 2}
each {n = 1, "a", "b", x = 2}
each {[1] = "a", [2] = "b", [4] = "d"}
each {[0] = "zero", "one"}
each(setmetatable({1, 2}, {__index = function(_, n) if n < 6 then return n * n end end}))
each(setmetatable({}, {__index = {"x", "y"}}))
local grown = {}
for n = 1, 50 do grown[n] = n end
each(grown)
for n = 50, 30, -1 do grown[n] = nil end
each(grown)
for n in ipairs(grown) do if n < 40 then grown[n + 1] = n end if n > 45 then break end end
each(grown)
for n, value in ipairs {1, 2, 3} do n, value = value, n note(n, value) end
for n, value, more in ipairs {1, 2} do note(n, value, more) end
for n in ipairs {"only", "keys"} do note(n) end
for _, bad in ipairs {1, "text", true} do note(pcall(function() for n in ipairs(bad) do note(n) end end)) end
note(pcall(function() for _ in ipairs() do end end))
local iterator, list, start = ipairs {"a", "b"}
note(iterator(list, start)) note(iterator(list, 1)) note(select("#", iterator(list, 2)))
note(pcall(iterator, list)) note(pcall(iterator, list, "1")) note(pcall(iterator, nil, 1))
note(pcall(function() for n, value in iterator, {7, 8}, "0" do note(n, value) end end))
note(pcall(function() for n, value in iterator, {7, 8}, 1.0 do note(n, value) end end))
note(pcall(function() for n, value in iterator, {7, 8}, -1 do note(n, value) end end))
note(pcall(function() for n, value in iterator, "text", 0 do note(n, value) end end))
for n, f in ipairs {function() return n end, function() return -1 end} do note(n, pcall(f)) end
local kept = {}
for n, value in ipairs {"p", "q"} do kept[n] = function() value = value .. n return value end end
note(kept[1](), kept[1](), kept[2]())

-- Other iterators.
local function count(limit, n) if n < limit then return n + 1, n * n end end
for n, square in count, 5, 0 do note(n, square) end
for word in ("some words here"):gmatch("%a+") do note(word) end
local keys = {}
for key, value in pairs {1, 2, 3, x = 1, y = 2, z = 3} do keys[#keys + 1] = tostring(key) .. value end
table.sort(keys)
note(table.concat(keys, " "))
for key in pairs({}) do note("never", key) end
for key, value in next, {5} do note(key, value) end
do
  local closing = setmetatable({}, {__close = function() note("closed") end})
  for n in count, 3, 0, closing do note(n) if n == 2 then break end end
end

-- Jumps.
local n = 0
while true do n = n + 1 if n % 2 == 0 then goto continue end if n > 9 then break end note(n) ::continue:: end
repeat local done = n > 15 n = n + 1 until done
note(n)
for i = 1, 3 do for j = 1, 3 do if j == i then goto next_i end note(i, j) end ::next_i:: end
local found
for i = 1, 100 do if i * i > 200 then found = i break end end
note(found, found and "found" or "lost", not found and 1, found == 15 or "x")
return table.concat(log, "\n")
