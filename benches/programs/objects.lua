-- Object-oriented code: classes, inheritance, operators, dispatch by method.
local function class(base)
  local c = {}
  c.__index = c
  return setmetatable(c, {
    __index = base,
    __call = function(_, ...)
      local object = setmetatable({}, c)
      object:init(...)
      return object
    end,
  })
end

local Vector = class()
function Vector:init(x, y) self.x, self.y = x, y end
function Vector.__add(a, b) return Vector(a.x + b.x, a.y + b.y) end
function Vector.__mul(a, k) return Vector(a.x * k, a.y * k) end
function Vector.__eq(a, b) return a.x == b.x and a.y == b.y end
function Vector:length() return math.sqrt(self.x * self.x + self.y * self.y) end

local Shape = class()
function Shape:init(name, at) self.name, self.at, self.moves = name, at, 0 end
function Shape:move(by)
  self.at = self.at + by
  self.moves = self.moves + 1
end
function Shape:area() return 0 end
function Shape:describe() return self.name .. ":" .. string.format("%.3f", self:area()) end

local Circle = class(Shape)
function Circle:init(r, at)
  Shape.init(self, "circle", at)
  self.r = r
end
function Circle:area() return math.pi * self.r ^ 2 end

local Box = class(Shape)
function Box:init(w, h, at)
  Shape.init(self, "box", at)
  self.w, self.h = w, h
end
function Box:area() return self.w * self.h end

local Square = class(Box)
function Square:init(side, at)
  Box.init(self, side, side, at)
  self.name = "square"
end

local Account = class()
function Account:init() self.balance, self.log = 0, {} end
function Account:deposit(n)
  self.balance = self.balance + n
  self.log[#self.log % 16 + 1] = n
  return self
end

local shapes = {}
for i = 1, 150 do
  local kind, at = i % 3, Vector(i, -i)
  shapes[i] = kind == 0 and Circle(i, at) or kind == 1 and Box(i, 2, at) or Square(i, at)
end
local area, distance, text = 0, 0, {}
for round = 1, 8 do
  for i, shape in ipairs(shapes) do
    shape:move(Vector(round, 1) * 0.5)
    area = area + shape:area()
    distance = distance + shape.at:length()
    if round == 8 then text[i] = shape:describe() end
  end
end
local account = Account()
for i = 1, 4000 do account:deposit(i):deposit(-1) end
return string.format("%.3f %.3f %d %d %s", area, distance, account.balance, #table.concat(text, ","),
  tostring(Vector(1, 2) + Vector(2, 1) == Vector(3, 3)))
