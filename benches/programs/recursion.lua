-- Recursion: Fibonacci numbers, Ackermann's function, the moves of Hanoi's towers.
local function fib(n)
  if n < 2 then return n end
  return fib(n - 1) + fib(n - 2)
end

local function ackermann(m, n)
  if m == 0 then return n + 1 end
  if n == 0 then return ackermann(m - 1, 1) end
  return ackermann(m - 1, ackermann(m, n - 1))
end

local moves = 0
local function hanoi(n, from, to, spare)
  if n == 0 then return end
  hanoi(n - 1, from, spare, to)
  moves = moves + 1
  hanoi(n - 1, spare, to, from)
end
hanoi(12, "a", "b", "c")

return string.format("%d %d %d", fib(22), ackermann(2, 60), moves)
