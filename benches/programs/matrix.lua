-- Matrices: products, and systems of equations by Gauss's elimination.
local function matrix(n, element)
  local m = {}
  for i = 1, n do
    local row = {}
    for j = 1, n do row[j] = element(i, j) end
    m[i] = row
  end
  return m
end

local function product(a, b)
  local n = #a
  local columns = matrix(n, function(i, j) return b[j][i] end)
  return matrix(n, function(i, j)
    local row, column, sum = a[i], columns[j], 0.0
    for k = 1, n do sum = sum + row[k] * column[k] end
    return sum
  end)
end

local function solve(a, b)
  local n = #a
  for p = 1, n do
    local best = p
    for i = p + 1, n do
      if math.abs(a[i][p]) > math.abs(a[best][p]) then best = i end
    end
    a[p], a[best], b[p], b[best] = a[best], a[p], b[best], b[p]
    for i = p + 1, n do
      local factor = a[i][p] / a[p][p]
      b[i] = b[i] - factor * b[p]
      local target, source = a[i], a[p]
      for j = p, n do target[j] = target[j] - factor * source[j] end
    end
  end
  local x = {}
  for i = n, 1, -1 do
    local sum = b[i]
    for j = i + 1, n do sum = sum - a[i][j] * x[j] end
    x[i] = sum / a[i][i]
  end
  return x
end

local N = 45
local a = matrix(N, function(i, j) return (i * 7 + j * 3) % 11 - 5 end)
local b = matrix(N, function(i, j) return (i * j) % 7 / 2 + (i == j and 9 or 0) end)
local c = product(product(a, b), b)
local trace = 0
for i = 1, N do trace = trace + c[i][i] end
local right = {}
for i = 1, N do right[i] = i end
local x = solve(b, right)
local sum = 0
for i = 1, N do sum = sum + x[i] end
return string.format("%.3f %.6f", trace, sum)
