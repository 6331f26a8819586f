-- Characters that mean something in HTML, in addresses and in Markdown.

local entities = require("entities")

local escape = {}

local HTML = { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;", ['"'] = "&quot;" }

-- Text as it stands in HTML.
function escape.html(text)
  return (text:gsub('[&<>"]', HTML))
end

-- An address as it stands in an attribute: what may not be in one goes by its number.
function escape.address(text)
  text = text:gsub("[^%w%-_%.!~%*'%(%);/%?:@&=%+%$,#%%]", function(byte)
    return string.format("%%%02X", byte:byte())
  end)
  -- A sign of percent that begins no number.
  text = text:gsub("%%(.?.?)", function(digits)
    if digits:match("^%x%x$") then return "%" .. digits end
    return "%25" .. digits
  end)
  return escape.html(text)
end

local function of_number(number)
  if number == 0 or number > 0x10FFFF or (number >= 0xD800 and number <= 0xDFFF) then
    number = 0xFFFD
  end
  return utf8.char(number)
end

-- The text that an entity stands for, which is written with `&` and `;`; nothing if it is none.
function escape.entity(written)
  local digits = written:match("^&#(%d+);$")
  if digits then
    if #digits > 7 then return nil end
    return of_number(tonumber(digits))
  end
  digits = written:match("^&#[xX](%x+);$")
  if digits then
    if #digits > 6 then return nil end
    return of_number(tonumber(digits, 16))
  end
  local name = written:match("^&(%w+);$")
  return name and entities[name]
end

-- Text in which entities and escaped characters stand for themselves.
function escape.plain(text)
  text = text:gsub("\\?&#?%w+;", function(written)
    if written:sub(1, 1) == "\\" then return nil end
    return escape.entity(written)
  end)
  return (text:gsub("\\(%p)", "%1"))
end

-- The words of a text, for an anchor.
function escape.anchor(text)
  text = text:lower():gsub("<[^>]*>", ""):gsub("&%w+;", "")
  text = text:gsub("[^%w%s%-_\128-\255]", ""):gsub("%s+", "-")
  return (text:gsub("^%-+", ""):gsub("%-+$", ""))
end

-- The name that a link's label goes by: its case and its spaces don't matter.
function escape.label(text)
  text = text:gsub("%s+", " "):gsub("^ ", ""):gsub(" $", "")
  return text:lower()
end

return escape
