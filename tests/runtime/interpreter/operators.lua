-- Every operator on every pair of these, as registers and as constants on either side.
OBJECT = setmetatable({}, {
  __add = function() return "add" end, __sub = function() return "sub" end,
  __mul = function() return "mul" end, __div = function() return "div" end,
  __mod = function() return "mod" end, __idiv = function() return "idiv" end,
  __pow = function() return "pow" end, __unm = function() return "unm" end,
  __band = function() return "band" end, __bor = function() return "bor" end,
  __bxor = function() return "bxor" end, __shl = function() return "shl" end,
  __shr = function() return "shr" end, __bnot = function() return "bnot" end,
  __concat = function() return "concat" end, __len = function() return "len" end,
  __eq = function() return true end, __lt = function() return true end,
  __le = function() return false end,
})
OTHER = setmetatable({}, getmetatable(OBJECT))
PLAIN, LIST = {}, {10, 20, nil, 40}

local operands = {
  "0", "1", "-1", "2", "7", "-7", "63", "64", "-64", "127", "128", "-128", "1000000",
  "0x7fffffffffffffff", "math.mininteger", "0.0", "-0.0", "0.5", "-2.5", "3.0", "127.0",
  "9007199254740993", "2.0^53", "1e308", "1/0", "-1/0", "0/0", "'10'", "'0x1p4'", "'abc'", "''",
  "('long '):rep(20)", "nil", "true", "false", "OBJECT", "OTHER", "PLAIN", "LIST", "print",
}
local binary = {
  "+", "-", "*", "/", "%", "//", "^", "&", "|", "~", "<<", ">>", "..",
  "==", "~=", "<", "<=", ">", ">=", "and", "or",
}
local unary = {"-", "not ", "#", "~"}

local function shown(value)
  if value ~= value then return "nan" end
  if value == OBJECT then return "object" end
  local kind = math.type(value) or type(value)
  if kind == "float" then return ("float %.17g"):format(value) end
  if kind == "table" or kind == "function" then return kind end
  return kind .. " " .. tostring(value)
end

local function try(code)
  local f = assert(load(code, "=code"))
  local ok, result = pcall(f)
  -- Where a function is, is another matter.
  result = ok and shown(result) or result:gsub("0x%x+", "address")
  log[#log + 1] = code .. " -> " .. result
end

for _, a in ipairs(operands) do
  for _, op in ipairs(unary) do
    try(("local a = %s; return %sa"):format(a, op))
  end
  try(("local a = %s; if a then return 1 end return 2"):format(a))
  try(("local a = %s; local b = a or 1; return b"):format(a))
  try(("local a = %s; local b = a and 1; return b"):format(a))
end
for _, a in ipairs(operands) do
  for _, b in ipairs(operands) do
    for _, op in ipairs(binary) do
      try(("local a, b = %s, %s; return a %s b"):format(a, b, op))
      if not b:find("[A-Z(]") then
        try(("local a = %s; return a %s %s"):format(a, op, b))
        if op:find("[=<>]") then
          try(("local a = %s; if a %s %s then return 1 end return 2"):format(a, op, b))
        end
        try(("local a = %s; return %s %s a"):format(a, b, op))
      end
    end
  end
end
return table.concat(log, "\n")
