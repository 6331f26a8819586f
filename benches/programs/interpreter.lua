-- An interpreter in Lua: a small language is read, compiled to a stack machine's code, and run.
local function tokens(source)
  local list = {}
  local at = 1
  while true do
    at = source:find("%S", at)
    if not at then return list end
    local token = source:match("^[%a_][%w_]*", at) or source:match("^%d+", at)
      or source:match("^[<>=!]=", at) or source:sub(at, at)
    list[#list + 1] = token
    at = at + #token
  end
end

local precedence = { ["<"] = 1, ["=="] = 1, ["+"] = 2, ["-"] = 2, ["*"] = 3, ["/"] = 3, ["%"] = 3 }

local function compile(source)
  local list, at, code = tokens(source), 1, {}
  local expression, block

  local function emit(op, arg)
    code[#code + 1] = { op = op, arg = arg }
    return #code
  end
  local function take(expected)
    local token = list[at]
    if expected then assert(token == expected, expected .. " expected") end
    at = at + 1
    return token
  end
  local function primary()
    local token = take()
    if token == "(" then
      expression(0)
      take(")")
    elseif tonumber(token) then
      emit("push", tonumber(token))
    else
      emit("load", token)
    end
  end
  function expression(least)
    primary()
    while (precedence[list[at]] or -1) > least do
      local operator = take()
      expression(precedence[operator])
      emit(operator)
    end
  end
  local function statement()
    if list[at] == "while" then
      take()
      local start = #code + 1
      expression(0)
      local exit = emit("jump_unless")
      block()
      emit("jump", start)
      code[exit].arg = #code + 1
    elseif list[at] == "if" then
      take()
      expression(0)
      local skip = emit("jump_unless")
      block()
      code[skip].arg = #code + 1
    else
      local name = take()
      take("=")
      expression(0)
      take(";")
      emit("store", name)
    end
  end
  function block()
    take("{")
    while list[at] ~= "}" do statement() end
    take("}")
  end
  while at <= #list do statement() end
  emit("halt")
  return code
end

local binary = {
  ["+"] = function(a, b) return a + b end,
  ["-"] = function(a, b) return a - b end,
  ["*"] = function(a, b) return a * b end,
  ["/"] = function(a, b) return a // b end,
  ["%"] = function(a, b) return a % b end,
  ["<"] = function(a, b) return a < b and 1 or 0 end,
  ["=="] = function(a, b) return a == b and 1 or 0 end,
}

local function run(code)
  local stack, top, variables, pc, steps = {}, 0, {}, 1, 0
  while true do
    local instruction = code[pc]
    local op, arg = instruction.op, instruction.arg
    pc, steps = pc + 1, steps + 1
    if op == "push" then
      top = top + 1
      stack[top] = arg
    elseif op == "load" then
      top = top + 1
      stack[top] = variables[arg]
    elseif op == "store" then
      variables[arg] = stack[top]
      top = top - 1
    elseif op == "jump" then
      pc = arg
    elseif op == "jump_unless" then
      if stack[top] == 0 then pc = arg end
      top = top - 1
    elseif op == "halt" then
      return variables, steps
    else
      top = top - 1
      stack[top] = binary[op](stack[top], stack[top + 1])
    end
  end
end

local code = compile([[
  n = 2; count = 0; sum = 0;
  while n < 320 {
    d = 2; prime = 1;
    while d * d < n + 1 {
      if n % d == 0 { prime = 0; d = n; }
      d = d + 1;
    }
    if prime { count = count + 1; sum = sum + n * (count - 1) / 2; }
    n = n + 1;
  }
]])
local variables, steps = run(code)
return string.format("%d %d %d %d", #code, steps, variables.count, variables.sum)
