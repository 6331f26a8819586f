-- A JSON parser and writer in Lua.
local escapes = { b = "\b", f = "\f", n = "\n", r = "\r", t = "\t", ['"'] = '"', ["\\"] = "\\", ["/"] = "/" }
local parse_value

local function skip(text, at) return text:find("%S", at) or #text + 1 end

local function parse_string(text, at)
  local parts, from = {}, at + 1
  while true do
    local stop = assert(text:find('["\\]', from), "unclosed string")
    parts[#parts + 1] = text:sub(from, stop - 1)
    if text:byte(stop) == 34 then return table.concat(parts), stop + 1 end
    local letter = text:sub(stop + 1, stop + 1)
    if letter == "u" then
      parts[#parts + 1] = utf8.char(tonumber(text:sub(stop + 2, stop + 5), 16))
      from = stop + 6
    else
      parts[#parts + 1] = assert(escapes[letter], "unknown escape")
      from = stop + 2
    end
  end
end

local function parse_array(text, at)
  local array, n = {}, 0
  at = skip(text, at + 1)
  if text:byte(at) == 93 then return array, at + 1 end
  while true do
    n = n + 1
    array[n], at = parse_value(text, at)
    at = skip(text, at)
    local byte = text:byte(at)
    if byte == 93 then return array, at + 1 end
    assert(byte == 44, "comma expected")
    at = skip(text, at + 1)
  end
end

local function parse_object(text, at)
  local object, key = {}, nil
  at = skip(text, at + 1)
  if text:byte(at) == 125 then return object, at + 1 end
  while true do
    assert(text:byte(at) == 34, "key expected")
    key, at = parse_string(text, at)
    at = skip(text, at)
    assert(text:byte(at) == 58, "colon expected")
    object[key], at = parse_value(text, skip(text, at + 1))
    at = skip(text, at)
    local byte = text:byte(at)
    if byte == 125 then return object, at + 1 end
    assert(byte == 44, "comma expected")
    at = skip(text, at + 1)
  end
end

local literals = { t = { "true", true }, f = { "false", false }, n = { "null", nil } }

function parse_value(text, at)
  local byte = text:byte(at)
  if byte == 123 then return parse_object(text, at) end
  if byte == 91 then return parse_array(text, at) end
  if byte == 34 then return parse_string(text, at) end
  local literal = literals[string.char(byte)]
  if literal then
    assert(text:sub(at, at + #literal[1] - 1) == literal[1], "unknown literal")
    return literal[2], at + #literal[1]
  end
  local first, last = text:find("^-?%d+%.?%d*[eE]?[+-]?%d*", at)
  assert(first, "value expected")
  return tonumber(text:sub(first, last)), last + 1
end

local function write(value, out)
  local kind = type(value)
  if kind == "table" then
    if #value > 0 then
      out[#out + 1] = "["
      for i, item in ipairs(value) do
        if i > 1 then out[#out + 1] = "," end
        write(item, out)
      end
      out[#out + 1] = "]"
    else
      local keys = {}
      for key in pairs(value) do keys[#keys + 1] = key end
      table.sort(keys)
      out[#out + 1] = "{"
      for i, key in ipairs(keys) do
        if i > 1 then out[#out + 1] = "," end
        write(key, out)
        out[#out + 1] = ":"
        write(value[key], out)
      end
      out[#out + 1] = "}"
    end
  elseif kind == "string" then
    out[#out + 1] = '"' .. value:gsub('[%c"\\]', function(c) return string.format("\\u%04x", c:byte()) end) .. '"'
  else
    out[#out + 1] = tostring(value)
  end
end

local records = {}
for i = 1, 60 do
  records[i] = string.format(
    [[{"id": %d, "name": "record \"%d\" \u00e9", "tags": ["a", "b%d", "c\n"], "size": {"w": %.2f, "h": -%d.5e2}, "on": %s}]],
    i, i, i, i / 3, i, tostring(i % 2 == 0))
end
local text = "[" .. table.concat(records, ",\n  ") .. "]"
for _ = 1, 3 do
  local out = {}
  write(parse_value(text, 1), out)
  text = table.concat(out)
end
local sum = 0
for i = 1, #text do sum = (sum * 31 + text:byte(i)) % 1000000007 end
return string.format("%d %d", #text, sum)
