-- Tables and the collector of garbage: binary trees, made, walked and dropped; a sieve; a set.
local function tree(depth)
  if depth == 0 then return {} end
  return { left = tree(depth - 1), right = tree(depth - 1) }
end

local function count(node)
  if not node.left then return 1 end
  return 1 + count(node.left) + count(node.right)
end

local nodes = 0
for _ = 1, 12 do nodes = nodes + count(tree(9)) end

local composite, primes = {}, 0
for i = 2, 20000 do
  if not composite[i] then
    primes = primes + 1
    for j = i * i, 20000, i do composite[j] = true end
  end
end

local seen, distinct = {}, 0
local x = 7
for _ = 1, 8000 do
  x = (x * 48271) % 2147483647
  local key = "k" .. x % 3000
  if not seen[key] then
    seen[key] = true
    distinct = distinct + 1
  end
end
for key in pairs(seen) do seen[key] = nil end
assert(next(seen) == nil)

return string.format("%d %d %d", nodes, primes, distinct)
