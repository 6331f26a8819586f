-- Templates: text with `{{ values }}`, `{% statements %}` and `{# comments #}`.
--
-- A template becomes a tree of functions, each of which writes what it stands for.

local escape = require("escape")

local template = { filters = {}, tests = {} }

-- Text that is HTML already.
local Safe = {}
Safe.__tostring = function(self) return self.text end

function template.safe(text) return setmetatable({ text = text }, Safe) end

local function is_safe(value) return getmetatable(value) == Safe end

local function fail(line, message, ...)
  error(("line %d of the template: %s"):format(line, message:format(...)), 0)
end

-- Pieces of a template: text, `{{`, `{%`. A `-` beside the braces takes the white space there away.
local function pieces(source)
  local found, at, line = {}, 1, 1
  local strip = false
  while at <= #source do
    local from, _, kind, dash = source:find("{([{%%#])(%-?)", at)
    local text = source:sub(at, from and from - 1)
    local shown = text
    if strip then shown = shown:gsub("^%s+", "") end
    if dash == "-" then shown = shown:gsub("%s+$", "") end
    if shown ~= "" then found[#found + 1] = { kind = "text", text = shown, line = line } end
    line = line + select(2, text:gsub("\n", ""))
    if not from then break end
    local closing = kind == "{" and "}}" or kind == "%" and "%}" or "#}"
    local starts = from + 2 + #dash
    local ends = source:find(closing, starts, true)
    if not ends then fail(line, "`{%s` has no end", kind) end
    local inner = source:sub(starts, ends - 1)
    strip = inner:sub(-1) == "-"
    if strip then inner = inner:sub(1, -2) end
    if kind ~= "#" then
      found[#found + 1] = { kind = kind == "{" and "value" or "statement", text = inner, line = line }
    end
    line = line + select(2, inner:gsub("\n", ""))
    at = ends + 2
  end
  return found
end

-- Words of an expression.
local Words = {}
Words.__index = Words

local SIGNS = { "==", "~=", "!=", "<=", ">=", "..", "//", "<", ">", "+", "-", "*", "/", "%", "|", ".", ",", "(", ")", "[", "]", "{", "}", ":", "=" }

local ESCAPED = { n = "\n", t = "\t", r = "\r" }

function Words.of(text, line)
  local words, at = { line = line, at = 1 }, 1
  while true do
    at = text:match("^%s*()", at)
    if at > #text then break end
    local name = text:match("^[%a_][%w_]*", at)
    local number = text:match("^%d+%.?%d*", at)
    local quote = text:match("^[\"']", at)
    if name then
      words[#words + 1] = { kind = "name", text = name }
      at = at + #name
    elseif number then
      words[#words + 1] = { kind = "number", text = number }
      at = at + #number
    elseif quote then
      local parts, place = {}, at + 1
      while true do
        local character = text:sub(place, place)
        if character == "" then fail(line, "a text has no end: %s", text:sub(at)) end
        if character == quote then break end
        if character == "\\" then
          place = place + 1
          character = text:sub(place, place)
          character = ESCAPED[character] or character
        end
        parts[#parts + 1] = character
        place = place + 1
      end
      words[#words + 1] = { kind = "text", text = table.concat(parts) }
      at = place + 1
    else
      local found
      for _, sign in ipairs(SIGNS) do
        if text:sub(at, at + #sign - 1) == sign then
          found = sign
          break
        end
      end
      if not found then fail(line, "`%s` means nothing here", text:sub(at, at)) end
      words[#words + 1] = { kind = "sign", text = found }
      at = at + #found
    end
  end
  return setmetatable(words, Words)
end

function Words:peek() return self[self.at] end

function Words:next()
  local word = self[self.at]
  if not word then fail(self.line, "the expression ends too early") end
  self.at = self.at + 1
  return word
end

function Words:is(text)
  local word = self[self.at]
  return word and word.kind ~= "text" and word.text == text
end

function Words:take(text)
  if not self:is(text) then return false end
  self.at = self.at + 1
  return true
end

function Words:expect(text)
  if not self:take(text) then
    local word = self[self.at]
    fail(self.line, "`%s` is missing before `%s`", text, word and word.text or "the end")
  end
end

function Words:name()
  local word = self:next()
  if word.kind ~= "name" then fail(self.line, "`%s` is no name", word.text) end
  return word.text
end

function Words:finish()
  local word = self[self.at]
  if word then fail(self.line, "`%s` is too much", word.text) end
end

-- Values of a template: an empty list, an empty text and 0 are false, as nothing is.
local function truth(value)
  if is_safe(value) then value = value.text end
  if value == nil or value == false or value == "" or value == 0 then return false end
  return type(value) ~= "table" or next(value) ~= nil
end

local function text_of(value)
  if value == nil then return "" end
  if math.type(value) == "float" and value == math.floor(value) and math.abs(value) < 1e15 then
    return ("%d"):format(value)
  end
  return tostring(value)
end

local function shown(value)
  if is_safe(value) then return value.text end
  return escape.html(text_of(value))
end

-- Names are looked up from the inside out.
local function lookup(scope, name)
  while scope do
    local value = scope.values[name]
    if value ~= nil then return value end
    scope = scope.outer
  end
end

local function within(scope, values) return { values = values, outer = scope } end

local expression

local function list_until(words, closing)
  local found = {}
  while not words:take(closing) do
    found[#found + 1] = expression(words)
    if not words:is(closing) then words:expect(",") end
  end
  return found
end

local function values_of(list, scope)
  local values = {}
  for place, item in ipairs(list) do values[place] = item(scope) end
  return values, #list
end

local function primary(words)
  local word = words:next()
  if word.kind == "number" then
    local number = math.tointeger(word.text) or tonumber(word.text)
    return function() return number end
  elseif word.kind == "text" then
    local text = word.text
    return function() return text end
  elseif word.kind == "name" then
    local name = word.text
    if name == "true" or name == "false" then
      local value = name == "true"
      return function() return value end
    elseif name == "none" or name == "nil" then
      return function() return nil end
    end
    return function(scope) return lookup(scope, name) end
  elseif word.text == "(" then
    local inner = expression(words)
    words:expect(")")
    return inner
  elseif word.text == "[" then
    local items = list_until(words, "]")
    return function(scope) return (values_of(items, scope)) end
  elseif word.text == "{" then
    local keys, items = {}, {}
    while not words:take("}") do
      keys[#keys + 1] = words:next().text
      words:expect(":")
      items[#items + 1] = expression(words)
      if not words:is("}") then words:expect(",") end
    end
    return function(scope)
      local made = {}
      for place, key in ipairs(keys) do made[key] = items[place](scope) end
      return made
    end
  end
  fail(words.line, "`%s` begins no value", word.text)
end

local function postfix(words)
  local value = primary(words)
  while true do
    local line = words.line
    if words:take(".") then
      local inner, key = value, words:next().text
      key = math.tointeger(key) or key
      value = function(scope)
        local holder = inner(scope)
        return type(holder) == "table" and holder[key] or nil
      end
    elseif words:take("[") then
      local inner, key = value, expression(words)
      words:expect("]")
      value = function(scope)
        local holder, place = inner(scope), key(scope)
        if type(holder) ~= "table" or place == nil then return nil end
        return holder[place]
      end
    elseif words:take("(") then
      local inner, args = value, list_until(words, ")")
      value = function(scope)
        local callee = inner(scope)
        if type(callee) ~= "function" then fail(line, "a %s value is called", type(callee)) end
        local given, count = values_of(args, scope)
        return callee(table.unpack(given, 1, count))
      end
    else
      return value
    end
  end
end

local function filtered(words)
  local value = postfix(words)
  while words:take("|") do
    local line, name = words.line, words:name()
    local filter = template.filters[name]
    if not filter then fail(line, "there is no filter `%s`", name) end
    local args = words:take("(") and list_until(words, ")") or {}
    local inner = value
    value = function(scope)
      local given, count = values_of(args, scope)
      return filter(inner(scope), table.unpack(given, 1, count))
    end
  end
  return value
end

local function number(value, line)
  local found = tonumber(is_safe(value) and value.text or value)
  if not found then fail(line, "%s is no number", text_of(value) == "" and "nothing" or text_of(value)) end
  return found
end

local function same(a, b)
  if is_safe(a) then a = a.text end
  if is_safe(b) then b = b.text end
  return a == b
end

local function contains(holder, item)
  if type(holder) == "string" then return holder:find(text_of(item), 1, true) ~= nil end
  if type(holder) ~= "table" then return false end
  for key, value in pairs(holder) do
    if same(value, item) or (type(key) == "string" and key == item) then return true end
  end
  return false
end

-- Operators by how strongly they bind, the weakest first.
local OPERATORS = {
  { ["or"] = function(a, b, scope) a = a(scope) if truth(a) then return a end return b(scope) end },
  { ["and"] = function(a, b, scope) a = a(scope) if not truth(a) then return a end return b(scope) end },
  {
    ["=="] = function(a, b, scope) return same(a(scope), b(scope)) end,
    ["!="] = function(a, b, scope) return not same(a(scope), b(scope)) end,
    ["~="] = function(a, b, scope) return not same(a(scope), b(scope)) end,
    ["<"] = function(a, b, scope, line) return number(a(scope), line) < number(b(scope), line) end,
    [">"] = function(a, b, scope, line) return number(a(scope), line) > number(b(scope), line) end,
    ["<="] = function(a, b, scope, line) return number(a(scope), line) <= number(b(scope), line) end,
    [">="] = function(a, b, scope, line) return number(a(scope), line) >= number(b(scope), line) end,
    ["in"] = function(a, b, scope) return contains(b(scope), a(scope)) end,
  },
  { [".."] = function(a, b, scope) return text_of(a(scope)) .. text_of(b(scope)) end },
  {
    ["+"] = function(a, b, scope, line) return number(a(scope), line) + number(b(scope), line) end,
    ["-"] = function(a, b, scope, line) return number(a(scope), line) - number(b(scope), line) end,
  },
  {
    ["*"] = function(a, b, scope, line) return number(a(scope), line) * number(b(scope), line) end,
    ["/"] = function(a, b, scope, line) return number(a(scope), line) / number(b(scope), line) end,
    ["//"] = function(a, b, scope, line) return number(a(scope), line) // number(b(scope), line) end,
    ["%"] = function(a, b, scope, line) return number(a(scope), line) % number(b(scope), line) end,
  },
}

local NOT = 3

local function unary(words)
  if words:take("-") then
    local line, value = words.line, unary(words)
    return function(scope) return -number(value(scope), line) end
  end
  return filtered(words)
end

local function binary(words, level)
  local operators = OPERATORS[level]
  if not operators then return unary(words) end
  if level == NOT and words:take("not") then
    local value = binary(words, NOT)
    return function(scope) return not truth(value(scope)) end
  end
  local value = binary(words, level + 1)
  while true do
    local word, line = words:peek(), words.line
    if level == NOT and word and words:is("is") then
      words:next()
      local negated = words:take("not")
      local name = words:name()
      local test = template.tests[name]
      if not test then fail(line, "there is no test `%s`", name) end
      local inner = value
      value = function(scope) return test(inner(scope)) ~= negated end
    else
      local operate = word and word.kind ~= "text" and operators[word.text]
      if not operate then return value end
      words:next()
      local left, right = value, binary(words, level + 1)
      value = function(scope) return operate(left, right, scope, line) end
    end
  end
end

-- `value if condition else other`, or just a value.
function expression(words)
  local value = binary(words, 1)
  if not words:take("if") then return value end
  local condition = binary(words, 1)
  local other = words:take("else") and expression(words) or function() return nil end
  return function(scope)
    if truth(condition(scope)) then return value(scope) end
    return other(scope)
  end
end

-- Statements.
local statements = {}

local body

local function write_all(nodes, scope, out)
  for _, node in ipairs(nodes) do node(scope, out) end
end

-- Reads up to a statement that is one of `ends`; gives what it reads, and that statement.
function body(reader, ends)
  local nodes = {}
  while true do
    local piece = reader.pieces[reader.at]
    if not piece then
      if ends then fail(reader.line, "`{%% %s %%}` is missing", next(ends)) end
      return nodes
    end
    reader.at, reader.line = reader.at + 1, piece.line
    if piece.kind == "text" then
      nodes[#nodes + 1] = function(_, out) out[#out + 1] = piece.text end
    elseif piece.kind == "value" then
      local words = Words.of(piece.text, piece.line)
      local value = expression(words)
      words:finish()
      nodes[#nodes + 1] = function(scope, out) out[#out + 1] = shown(value(scope)) end
    else
      local words = Words.of(piece.text, piece.line)
      local name = words:name()
      if ends and ends[name] then return nodes, name, words end
      local statement = statements[name]
      if not statement then fail(piece.line, "there is no statement `%s`", name) end
      nodes[#nodes + 1] = statement(reader, words)
    end
  end
end

statements["if"] = function(reader, words)
  local branches, otherwise = {}, {}
  local name = "if"
  repeat
    if name == "else" then
      words:finish()
      otherwise, name = body(reader, { endif = true })
    else
      local condition = expression(words)
      words:finish()
      local nodes
      nodes, name, words = body(reader, { ["elseif"] = true, ["elif"] = true, ["else"] = true, endif = true })
      branches[#branches + 1] = { condition = condition, nodes = nodes }
    end
  until name == "endif"
  return function(scope, out)
    for _, branch in ipairs(branches) do
      if truth(branch.condition(scope)) then return write_all(branch.nodes, scope, out) end
    end
    write_all(otherwise, scope, out)
  end
end

-- Pairs of what is gone through: lists in their order, others by their keys.
local function pairs_of(value)
  if type(value) ~= "table" then return {} end
  local found = {}
  if #value > 0 then
    for place, item in ipairs(value) do found[place] = { place, item } end
    return found
  end
  for key, item in pairs(value) do found[#found + 1] = { key, item } end
  table.sort(found, function(a, b) return tostring(a[1]) < tostring(b[1]) end)
  return found
end

statements["for"] = function(reader, words)
  local first, second = words:name(), nil
  if words:take(",") then second = words:name() end
  words:expect("in")
  local value = binary(words, 1)
  local condition = words:take("if") and binary(words, 1)
  words:finish()
  local nodes, name = body(reader, { ["else"] = true, endfor = true })
  local otherwise = {}
  if name == "else" then otherwise = body(reader, { endfor = true }) end
  return function(scope, out)
    local kept = {}
    for _, pair in ipairs(pairs_of(value(scope))) do
      local values = second and { [first] = pair[1], [second] = pair[2] } or { [first] = pair[2] }
      local inner = within(scope, values)
      if not condition or truth(condition(inner)) then kept[#kept + 1] = inner end
    end
    if #kept == 0 then return write_all(otherwise, scope, out) end
    for index, inner in ipairs(kept) do
      inner.values.loop = {
        index = index,
        index0 = index - 1,
        first = index == 1,
        last = index == #kept,
        length = #kept,
      }
      write_all(nodes, inner, out)
    end
  end
end

statements["set"] = function(_, words)
  local name = words:name()
  words:expect("=")
  local value = expression(words)
  words:finish()
  return function(scope) scope.values[name] = value(scope) end
end

statements["include"] = function(reader, words)
  local line, value = words.line, expression(words)
  words:finish()
  local parts = reader.parts
  return function(scope, out)
    local name = text_of(value(scope))
    local nodes = parts[name]
    if not nodes then fail(line, "there is no part `%s`", name) end
    if scope.depth and scope.depth > 20 then fail(line, "`%s` includes itself", name) end
    local inner = within(scope, {})
    inner.depth = (scope.depth or 0) + 1
    write_all(nodes(), inner, out)
  end
end

statements["macro"] = function(reader, words)
  local name = words:name()
  words:expect("(")
  local params, defaults = {}, {}
  while not words:take(")") do
    local param = words:name()
    params[#params + 1] = param
    if words:take("=") then defaults[param] = expression(words) end
    if not words:is(")") then words:expect(",") end
  end
  words:finish()
  local nodes = body(reader, { endmacro = true })
  return function(scope)
    scope.values[name] = function(...)
      local values = {}
      for place, param in ipairs(params) do
        local given = (select(place, ...))
        if given == nil and defaults[param] then given = defaults[param](scope) end
        values[param] = given
      end
      local out = {}
      write_all(nodes, within(scope, values), out)
      return template.safe(table.concat(out))
    end
  end
end

statements["filter"] = function(reader, words)
  local line, name = words.line, words:name()
  words:finish()
  local filter = template.filters[name]
  if not filter then fail(line, "there is no filter `%s`", name) end
  local nodes = body(reader, { endfilter = true })
  return function(scope, out)
    local inner = {}
    write_all(nodes, scope, inner)
    out[#out + 1] = shown(filter(template.safe(table.concat(inner))))
  end
end

-- Filters.
local filters = template.filters

local function plain(value) return is_safe(value) and value.text or text_of(value) end

function filters.safe(value) return template.safe(plain(value)) end
function filters.escape(value) return is_safe(value) and value or template.safe(escape.html(text_of(value))) end
function filters.upper(value) return plain(value):upper() end
function filters.lower(value) return plain(value):lower() end
function filters.trim(value) return (plain(value):gsub("^%s+", ""):gsub("%s+$", "")) end
function filters.default(value, other) return truth(value) and value or other end
function filters.length(value) return type(value) == "table" and #pairs_of(value) or utf8.len(plain(value)) end
function filters.first(value) return type(value) == "table" and value[1] or nil end
function filters.last(value) return type(value) == "table" and value[#value] or nil end
function filters.address(value) return template.safe(escape.address(plain(value))) end

function filters.capitalize(value)
  return (plain(value):lower():gsub("^%l", string.upper))
end

function filters.title(value)
  return (plain(value):gsub("(%a)([%w']*)", function(first, rest) return first:upper() .. rest:lower() end))
end

function filters.replace(value, old, new)
  local found = plain(old):gsub("%p", "%%%0")
  local put = plain(new):gsub("%%", "%%%%")
  return (plain(value):gsub(found, put))
end

function filters.join(value, between)
  local texts = {}
  for place, pair in ipairs(pairs_of(value)) do texts[place] = plain(pair[2]) end
  return table.concat(texts, between and plain(between) or "")
end

function filters.truncate(value, length)
  local text = plain(value)
  if (utf8.len(text) or #text) <= length then return text end
  local ends = utf8.offset(text, length)
  return text:sub(1, ends - 1):gsub("%s+%S*$", "") .. "…"
end

function filters.round(value, digits)
  local factor = 10 ^ (digits or 0)
  return math.floor(number(value, 0) * factor + 0.5) / factor
end

function filters.fixed(value, digits) return ("%." .. math.tointeger(digits or 2) .. "f"):format(number(value, 0)) end

function filters.sort(value, key)
  local items = {}
  for place, pair in ipairs(pairs_of(value)) do items[place] = pair[2] end
  local by = function(item) return key and type(item) == "table" and item[key] or item end
  table.sort(items, function(a, b)
    a, b = by(a), by(b)
    if type(a) == "number" and type(b) == "number" then return a < b end
    return text_of(a) < text_of(b)
  end)
  return items
end

function filters.reverse(value)
  if type(value) ~= "table" then return plain(value):reverse() end
  local items = {}
  for place = #value, 1, -1 do items[#items + 1] = value[place] end
  return items
end

function filters.where(value, key, wanted)
  local items = {}
  for _, pair in ipairs(pairs_of(value)) do
    local item = pair[2]
    local found = type(item) == "table" and item[key]
    if (wanted == nil and truth(found)) or (wanted ~= nil and same(found, wanted)) then items[#items + 1] = item end
  end
  return items
end

function filters.sum(value, key)
  local total = 0
  for _, pair in ipairs(pairs_of(value)) do total = total + number(key and pair[2][key] or pair[2], 0) end
  return total
end

-- Tests, for `is`.
local tests = template.tests

function tests.defined(value) return value ~= nil end
function tests.none(value) return value == nil end
function tests.text(value) return type(value) == "string" or is_safe(value) end
function tests.number(value) return type(value) == "number" end
function tests.list(value) return type(value) == "table" and (#value > 0 or next(value) == nil) end
function tests.empty(value) return not truth(value) end
function tests.odd(value) return type(value) == "number" and value % 2 == 1 end
function tests.even(value) return type(value) == "number" and value % 2 == 0 end

-- What `source` makes of `values`; `parts` are the texts of templates, by name.
function template.render(source, values, parts)
  local made = {}
  local reader = { parts = made }
  local function read(text)
    return body({ pieces = pieces(text), at = 1, line = 1, parts = reader.parts })
  end
  for name, text in pairs(parts) do
    local nodes
    made[name] = function()
      nodes = nodes or read(text)
      return nodes
    end
  end
  local out = {}
  write_all(read(source), within({ values = values }, {}), out)
  return table.concat(out)
end

return template
