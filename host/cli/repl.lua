-- Runs what is typed, and shows what comes of it. Loaded once into each instance, before anything
-- is typed: what scripts do to the globals that it uses doesn't matter to it.
local load, next, pcall, rawget, rawlen, select, tostring, type =
  load, next, pcall, rawget, rawlen, select, tostring, type
local concat, sort, pack = table.concat, table.sort, table.pack
local find, format, gsub, rep = string.find, string.format, string.gsub, string.rep
local getmetatable, mathtype, utf8len = getmetatable, math.type, utf8.len
local array, encode = json.array, json.encode

-- A text on one line, as Lua reads it.
local function quoted(text)
  text = gsub(format("%q", text), "\\\n", "\\n")
  if not utf8len(text) then
    text = gsub(text, "[\x80-\xff]", function(c) return format("\\x%02X", c:byte()) end)
  end
  return text
end

local DEEPEST, MOST, WIDEST = 4, 100, 72

local show

-- The entries of a table as Lua would write them, in an order that doesn't change.
local function entries(value, depth, open)
  local shown, length = {}, rawlen(value)
  for i = 1, length do
    if i > MOST then
      shown[#shown + 1] = "... (" .. length .. " in all)"
      break
    end
    shown[#shown + 1] = show(rawget(value, i), depth + 1, open)
  end
  local keys, count = {}, 0
  for key in next, value do
    local index = mathtype(key) == "integer" and key >= 1 and key <= length
    if not index then
      count = count + 1
      if count <= MOST then keys[count] = key end
    end
  end
  sort(keys, function(a, b)
    if type(a) == type(b) and (type(a) == "number" or type(a) == "string") then return a < b end
    return type(a) < type(b)
  end)
  for _, key in next, keys do
    local name
    if type(key) == "string" and find(key, "^[%a_][%w_]*$") then
      name = key
    else
      name = "[" .. show(key, DEEPEST, open) .. "]"
    end
    shown[#shown + 1] = name .. " = " .. show(rawget(value, key), depth + 1, open)
  end
  if count > MOST then shown[#shown + 1] = "... (" .. count .. " keys in all)" end
  return shown
end

-- What a table says of itself, if it has a way to.
local function own_text(value)
  local meta = getmetatable(value)
  if type(value) == "table" and type(meta) == "table" and rawget(meta, "__tostring") then
    local ok, text = pcall(tostring, value)
    if ok then return text end
  end
end

-- Anything as text. `open` has the tables that it is in.
function show(value, depth, open)
  if type(value) == "string" then return quoted(value) end
  if type(value) ~= "table" then return tostring(value) end
  local text = own_text(value)
  if text then return text end
  if open[value] then return "<the table around it>" end
  if depth >= DEEPEST then return next(value) == nil and "{}" or "{...}" end
  open[value] = true
  local shown = entries(value, depth, open)
  open[value] = nil
  local line = "{" .. concat(shown, ", ") .. "}"
  if #line + 2 * depth <= WIDEST and not find(line, "\n") then return line end
  local indent = rep("  ", depth + 1)
  return "{\n" .. indent .. concat(shown, ",\n" .. indent) .. "\n" .. rep("  ", depth) .. "}"
end

-- Runs a chunk or a bare expression that is known to parse: a list of what it gives, each as JSON
-- or, where it has none or says itself what it is, as text.
getmetatable("").__repl = function(code)
  local chunk = load("return " .. code, "=repl") or load(code, "=repl")
  local values = pack(chunk())
  local shown = {}
  for i = 1, values.n do
    local ok, json
    if not own_text(values[i]) then ok, json = pcall(encode, values[i]) end
    shown[i] = ok and {json = json} or {text = show(values[i], 0, {})}
  end
  return array(shown)
end
