-- Floating point: how many points of a grid stay in the Mandelbrot set, and for how long.
local SIZE, MOST = 96, 50
local inside, steps = 0, 0
for row = 0, SIZE - 1 do
  local ci = 2 * row / SIZE - 1
  for column = 0, SIZE - 1 do
    local cr = 2 * column / SIZE - 1.5
    local zr, zi, n = 0.0, 0.0, 0
    while n < MOST do
      local r2, i2 = zr * zr, zi * zi
      if r2 + i2 > 4 then break end
      zi = 2 * zr * zi + ci
      zr = r2 - i2 + cr
      n = n + 1
    end
    steps = steps + n
    if n == MOST then inside = inside + 1 end
  end
end
return string.format("%d %d", inside, steps)
