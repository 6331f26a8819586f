-- As many arguments and results as are asked for, fewer and more.
local function none() end
local function one(a) return a end
local function two(a, b) return a, b end
local function swapped(a, b, c) return c, b, a end
local function any(...) return ... end
local function rest(a, ...) return select("#", ...), a, ... end
for _, f in ipairs {none, one, two, swapped, any, rest} do
  f() f(1) f(1, 2) f(1, 2, 3)
  local a = f(1)
  local b, c = f(1, 2)
  local d, e, g = f(1)
  note(a) note(b, c) note(d, e, g)
  note(f()) note(f(1)) note(f(1, 2)) note(f(1, 2, 3, 4)) note((f(1, 2)))
  note(f(f(1, 2))) note(f(f(), f(7))) note(f(any(1, nil, nil)))
  local list = {f(1, 2), f(3, 4)}
  note(list[1], list[2], list[3])
  note(f(1) == nil, f(1) and 1 or 2)
end

-- Depth: frames that have to be made, and a stack that has to grow and move.
local function down(n, ...)
  local a, b, c, d = n, n + 1, n + 2, n + 3
  if n == 0 then return 0, ... end
  local below = down(n - 1, ...)
  return below + (b - a) + (d - c)
end
for _, depth in ipairs {1, 10, 100, 1000, 10000} do note(down(depth, "x", "y")) end
local function tail(n, sum) if n == 0 then return sum end return tail(n - 1, sum + n) end
note(tail(100000, 0))
local function even(n) if n == 0 then return true end return odd(n - 1) end
function odd(n) if n == 0 then return false end return even(n - 1) end
note(even(1001), odd(1001))
local function endless(n) return 1 + endless(n + 1) end
local ok, message = pcall(endless, 1)
note(ok, message:match("stack overflow"))

-- Closures: upvalues shared, open, closed, and written from both sides.
local function counter()
  local n = 0
  local function add(by) n = n + (by or 1) return n end
  local function get() return n end
  add(10)
  n = n + 100
  return add, get
end
local add, get = counter()
note(add(), get(), add(0.5), get())
local functions = {}
for n = 1, 5 do
  local square = n * n
  functions[n] = function(x) square = square + (x or 0) return n, square end
end
for n = 1, 5 do note(functions[n](n)) note(functions[n]()) end
do
  local made = {}
  local n = 0
  while n < 3 do
    n = n + 1
    local mine = n
    made[n] = function() mine = mine + 1 return mine end
  end
  note(made[1](), made[1](), made[2](), made[3]())
end

-- What can be called besides functions.
local callable = setmetatable({}, {__call = function(self, ...) return self ~= nil, ... end})
note(callable()) note(callable(1, 2)) note(pcall(callable, 3))
for _, value in ipairs {1, "text", {}, true} do
  note(pcall(function() value() end))
  note(pcall(function() return value() end))
end
local missing
note(pcall(function() missing() end))
note(pcall(function() undefined() end))
note(pcall(function() local t = {} t.x() end))
note(pcall(function() local t = {} t:x() end))

-- Objects.
local Account = {}
Account.__index = Account
function Account.new(balance) return setmetatable({balance = balance}, Account) end
function Account:deposit(amount) self.balance = self.balance + amount return self end
function Account:get() return self.balance end
local Savings = setmetatable({}, {__index = Account})
Savings.__index = Savings
function Savings.new(balance) return setmetatable(Account.new(balance), Savings) end
function Savings:deposit(amount) return Account.deposit(self, amount * 2) end
for n = 1, 10 do
  note(Account.new(n):deposit(n):deposit(0.5):get(), Savings.new(n):deposit(n):get())
end

-- Errors from the middle of many frames, and what is to be closed on the way.
local function fails(n)
  local guard <close> = setmetatable({}, {__close = function(_, e) note("closed", n, e) end})
  if n == 0 then error({code = 7}) end
  return (fails(n - 1))
end
local ok, e = pcall(fails, 5)
note(ok, type(e), e and e.code)
note(pcall(function() local a = {} ; local b = a.x.y end))
note(pcall(function() local a = 1; return a + {} end))
note(pcall(function() local a = "x"; return a < 1 end))
note(pcall(function() for n = 1, 10 do if n == 5 then error(n, 0) end end end))

-- Coroutines that change hands in the middle of all that.
local function walk(n)
  if n > 0 then
    walk(n - 1)
    coroutine.yield(n)
    walk(n - 1)
  end
end
local steps = {}
for n in coroutine.wrap(function() walk(6) end) do steps[#steps + 1] = n end
note(#steps, table.concat(steps))
return table.concat(log, "\n")
