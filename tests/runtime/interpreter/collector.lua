-- Old tables, upvalues and metatables that get new values while the collector is at work: what is
-- reachable stays as it is. Garbage is made all along, so that every phase is met many times.
local state = 1
local function random(limit)
  state = (state * 1103515245 + 12345) % 2147483648
  return state // 65536 % limit + 1
end

-- Enough to keep the collector at work for several of its steps.
local ballast = {}
for n = 1, 2000 do
  ballast[n] = {}
  for k = 1, 100 do ballast[n][k] = k end
end

local SIZE = 64
local list, record, upvalues, objects = {}, {}, {}, {}
for n = 1, SIZE do
  list[n] = {n}
  record["field" .. n] = {n}
  local kept = {n}
  upvalues[n] = {
    set = function(x) kept = {x} end,
    get = function() return kept[1] end,
  }
  objects[n] = setmetatable({}, {__index = {value = {n}}})
end
local expected = {}
for n = 1, SIZE do expected[n] = n end
record.named, GLOBAL = {0}, {0}
-- Each gets one key more, once, made then and there, that nothing else holds.
local ROOMS, rooms = 8000, {}
for n = 1, ROOMS do rooms[n] = {a = n, b = n, c = n, d = n, e = n} end

local good = true
for round = 1, 60000 do
  local n = random(SIZE)
  expected[n] = round
  list[n] = {round}
  record["field" .. n] = {round, tostring(round)}
  upvalues[n].set(round)
  getmetatable(objects[n]).__index = {value = {round}}
  record.named = {round}
  GLOBAL = {round}
  if round % 7 == 0 and round // 7 <= ROOMS then rooms[round // 7]["room " .. round // 7] = round end
  local garbage = {{}, {round}, "text " .. round}
  if round % 20 == 0 then
    good = good and record.named[1] == round and GLOBAL[1] == round and #garbage == 3
    for k = 1, SIZE do
      local want = expected[k]
      good = good and list[k][1] == want and record["field" .. k][1] == want
        and upvalues[k].get() == want and objects[k].value[1] == want
    end
  end
  if round % 1000 == 0 then note(round, good, n, expected[n]) end
end

for n = 1, ROOMS do
  if rooms[n]["room " .. n] ~= n * 7 or rooms[n].e ~= n then note("room", n, rooms[n]["room " .. n]) end
end

-- A weak table loses what nothing else holds, and keeps the rest.
local weak = setmetatable({}, {__mode = "v"})
local held = {}
weak.held, weak.lost = held, {}
for n = 1, 200000 do local _ = {n, {}} end
note(weak.held == held, weak.lost)
return table.concat(log, "\n")
