-- Tables: sorting by the library, with and without a comparison, by a heap and by merging.
local seed = 42
local function random(limit)
  seed = (seed * 1103515245 + 12345) & 0x7fffffff
  return seed % limit
end

local function numbers(n)
  local list = {}
  for i = 1, n do list[i] = random(1000000) end
  return list
end

local function heap_sort(list)
  local function sift(root, last)
    while true do
      local child = 2 * root
      if child > last then return end
      if child < last and list[child] < list[child + 1] then child = child + 1 end
      if list[root] >= list[child] then return end
      list[root], list[child] = list[child], list[root]
      root = child
    end
  end
  for root = #list // 2, 1, -1 do sift(root, #list) end
  for last = #list, 2, -1 do
    list[1], list[last] = list[last], list[1]
    sift(1, last - 1)
  end
end

local function merge_sort(list)
  if #list < 2 then return list end
  local middle = #list // 2
  local left = merge_sort(table.move(list, 1, middle, 1, {}))
  local right = merge_sort(table.move(list, middle + 1, #list, 1, {}))
  local merged, i, j = {}, 1, 1
  for k = 1, #list do
    if j > #right or (i <= #left and left[i] <= right[j]) then
      merged[k], i = left[i], i + 1
    else
      merged[k], j = right[j], j + 1
    end
  end
  return merged
end

local function checksum(list)
  local sum = 0
  for i, value in ipairs(list) do
    if i > 1 then assert(list[i - 1] <= value) end
    sum = (sum * 31 + value) % 1000000007
  end
  return sum
end

local a, b, c, d = numbers(3000), numbers(1500), numbers(2500), numbers(2500)
table.sort(a)
table.sort(b, function(x, y) return x > y end)
table.sort(b)
heap_sort(c)
return table.concat({ checksum(a), checksum(b), checksum(c), checksum(merge_sort(d)) }, " ")
