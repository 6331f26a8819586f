-- What stands inside of a paragraph: emphasis, code, links, images, HTML.

local escape = require("escape")

local inline = {}

local Parser = {}
Parser.__index = Parser

local SPECIAL = "[\\`%*_~%[%]!<&\n]"

function Parser:add(node)
  self.nodes[#self.nodes + 1] = node
  return node
end

function Parser:text(text)
  local last = self.nodes[#self.nodes]
  if last and last.kind == "text" and not last.run then
    last.text = last.text .. text
  else
    self:add({ kind = "text", text = text })
  end
end

-- The character before or after a place, as far as it matters: a space, punctuation, or anything else.
local function class(character)
  if character == "" or character:find("^%s") then return "space" end
  if character:find("^%p") then return "mark" end
  return "word"
end

-- A run of marks of emphasis, which may open it, close it, or both.
function Parser:run(mark)
  local from, to = self.source:find("^%" .. mark .. "+", self.at)
  local before = class(self.source:sub(from - 1, from - 1))
  if from == 1 then before = "space" end
  local after = class(self.source:sub(to + 1, to + 1))
  local left = after ~= "space" and (after ~= "mark" or before ~= "word")
  local right = before ~= "space" and (before ~= "mark" or after ~= "word")
  local opens, closes = left, right
  if mark == "_" then
    opens = left and (not right or before == "mark")
    closes = right and (not left or after == "mark")
  end
  local run = { mark = mark, count = to - from + 1, opens = opens, closes = closes }
  run.total = run.count
  self:add({ kind = "text", text = self.source:sub(from, to), run = run })
  self.at = to + 1
end

function Parser:code()
  local marks = self.source:match("^`+", self.at)
  local from = self.at + #marks
  local at = from
  while true do
    local first, last = self.source:find("`+", at)
    if not first then
      self:text(marks)
      self.at = from
      return
    end
    if last - first + 1 == #marks then
      local text = self.source:sub(from, first - 1):gsub("\n", " ")
      if text:find("^ .* $") and text:find("[^ ]") then text = text:sub(2, -2) end
      self:add({ kind = "code", text = text })
      self.at = last + 1
      return
    end
    at = last + 1
  end
end

local function is_html(source, at)
  for _, pattern in ipairs {
    "^<!%-%-.-%-%->",
    "^<%?.-%?>",
    "^<!%a[^>]*>",
    "^<!%[CDATA%[.-%]%]>",
    "^</%a[%w%-]*%s*>",
  } do
    local from, to = source:find(pattern, at)
    if from then return to end
  end
  -- An opening tag, attribute by attribute.
  local _, to = source:find("^<%a[%w%-]*", at)
  if not to then return nil end
  while true do
    local _, name = source:find("^%s+[%a_:][%w_%.:%-]*", to + 1)
    if not name then break end
    to = name
    for _, value in ipairs { "^%s*=%s*[^%s\"'=<>`]+", "^%s*=%s*'[^']*'", '^%s*=%s*"[^"]*"' } do
      local _, ends = source:find(value, to + 1)
      if ends then
        to = ends
        break
      end
    end
  end
  local _, ends = source:find("^%s*/?>", to + 1)
  return ends
end

function Parser:angle()
  local address = self.source:match("^<(%a[%w%+%.%-]+:[^%s<>]*)>", self.at)
  if address then
    self:add({ kind = "link", address = address, children = { { kind = "text", text = address } } })
    self.at = self.at + #address + 2
    return
  end
  local mail = self.source:match("^<([%w%.!#%$%%&'%*%+/=%?%^_`{|}~%-]+@[%w%-%.]+)>", self.at)
  if mail then
    self:add({ kind = "link", address = "mailto:" .. mail, children = { { kind = "text", text = mail } } })
    self.at = self.at + #mail + 2
    return
  end
  local ends = is_html(self.source, self.at)
  if ends then
    self:add({ kind = "raw", text = self.source:sub(self.at, ends) })
    self.at = ends + 1
    return
  end
  self:text("<")
  self.at = self.at + 1
end

function Parser:entity()
  local written = self.source:match("^&#?%w+;", self.at)
  local text = written and escape.entity(written)
  self:text(text or "&")
  self.at = self.at + (text and #written or 1)
end

function Parser:backslash()
  local following = self.source:sub(self.at + 1, self.at + 1)
  if following == "\n" then
    self:add({ kind = "hardbreak" })
    self.at = self.source:match("^ *()", self.at + 2)
  elseif following:find("^%p") then
    self:text(following)
    self.at = self.at + 2
  else
    self:text("\\")
    self.at = self.at + 1
  end
end

function Parser:newline()
  local last = self.nodes[#self.nodes]
  local spaces = last and last.kind == "text" and #last.text:match(" *$") or 0
  if spaces > 0 then last.text = last.text:sub(1, -spaces - 1) end
  self:add({ kind = spaces >= 2 and "hardbreak" or "softbreak" })
  self.at = self.source:match("^ *()", self.at + 1)
end

function Parser:open(is_image)
  local width = is_image and 2 or 1
  local node = self:add({ kind = "text", text = is_image and "![" or "[", run = {} })
  self.brackets[#self.brackets + 1] = {
    node = node,
    place = #self.nodes,
    image = is_image,
    from = self.at + width,
    active = true,
  }
  self.at = self.at + width
end

-- The address and the title in parentheses behind a text.
function Parser:destination(at)
  local source = self.source
  local from = source:match("^%(%s*()", at)
  if not from then return nil end
  local address, behind = source:match("^<([^<>\n]*)>()", from)
  if not address then
    local depth, place = 0, from
    while true do
      local character = source:sub(place, place)
      if character == "" or character:find("[%s%c]") then break end
      if character == "\\" then
        place = place + 1
      elseif character == "(" then
        depth = depth + 1
      elseif character == ")" then
        if depth == 0 then break end
        depth = depth - 1
      end
      place = place + 1
    end
    if depth > 0 then return nil end
    address, behind = source:sub(from, place - 1), place
  end
  local title
  for _, pattern in ipairs { '^%s+"(.-[^\\])"()', "^%s+'(.-[^\\])'()", "^%s+%((.-[^\\])%)()" } do
    local found, ends = source:match(pattern, behind)
    if found then
      title, behind = found, ends
      break
    end
  end
  local ends = source:match("^%s*%)()", behind)
  if not ends then return nil end
  return escape.plain(address), title and escape.plain(title), ends
end

-- What a label in brackets behind a text names, or the text itself.
function Parser:reference(bracket)
  local source = self.source
  local text = source:sub(bracket.from, self.at - 1)
  local label, ends = source:match("^%[([^%[%]]*)%]()", self.at + 1)
  if label and label:find("%S") then
    local found = self.references[escape.label(label)]
    return found, ends
  end
  return self.references[escape.label(text)], label and ends or self.at + 1
end

function Parser:close()
  local bracket = table.remove(self.brackets)
  if not bracket then
    self:text("]")
    self.at = self.at + 1
    return
  end
  local address, title, ends
  if bracket.active then
    address, title, ends = self:destination(self.at + 1)
    if not address then
      local found
      found, ends = self:reference(bracket)
      if found then
        address, title = found.address, found.title
      end
    end
  end
  if not address then
    self:add({ kind = "text", text = "]", run = {} })
    self.at = self.at + 1
    return
  end
  local children = table.move(self.nodes, bracket.place + 1, #self.nodes, 1, {})
  for place = #self.nodes, bracket.place, -1 do self.nodes[place] = nil end
  self:add({
    kind = bracket.image and "image" or "link",
    address = address,
    title = title,
    children = inline.emphasise(children),
  })
  self.at = ends
  if not bracket.image then
    -- No link inside of a link.
    for _, other in ipairs(self.brackets) do
      if not other.image then other.active = false end
    end
  end
end

-- Where two runs can be the two ends of one emphasis.
local function fit(opener, closer)
  if opener.mark ~= closer.mark or not opener.opens or opener.count == 0 then return false end
  if opener.mark == "~" then return opener.count == closer.count and opener.count <= 2 end
  local either = opener.closes or closer.opens
  local odd = either and (opener.total + closer.total) % 3 == 0
  return not odd or (opener.total % 3 == 0 and closer.total % 3 == 0)
end

-- Puts what stands between runs that fit into emphasis.
function inline.emphasise(nodes)
  local at = 1
  while at <= #nodes do
    local closer = nodes[at].run
    local opened
    if closer and closer.closes and closer.count > 0 then
      for place = at - 1, 1, -1 do
        local opener = nodes[place].run
        if opener and opener.mark and fit(opener, closer) then
          opened = place
          break
        end
      end
    end
    if not opened then
      at = at + 1
    else
      local opener = nodes[opened].run
      local count = (opener.mark == "~" and opener.count) or (opener.count >= 2 and closer.count >= 2 and 2) or 1
      local kind = opener.mark == "~" and "struck" or count == 2 and "strong" or "emphasis"
      local children = table.move(nodes, opened + 1, at - 1, 1, {})
      for _, child in ipairs(children) do
        if child.run then child.run = nil end
      end
      local node = { kind = kind, children = children }
      opener.count, closer.count = opener.count - count, closer.count - count
      nodes[opened].text = nodes[opened].text:sub(1, opener.count)
      nodes[at].text = nodes[at].text:sub(1, closer.count)
      -- What lay between becomes one.
      local tail = table.move(nodes, at, #nodes, 1, {})
      for place = #nodes, opened + 1, -1 do nodes[place] = nil end
      nodes[opened + 1] = node
      table.move(tail, 1, #tail, opened + 2, nodes)
      at = opened + 2
    end
  end
  local found = {}
  for _, node in ipairs(nodes) do
    local last = found[#found]
    if node.kind ~= "text" then
      found[#found + 1] = node
    elseif last and last.kind == "text" then
      last.text = last.text .. node.text
    elseif node.text ~= "" then
      found[#found + 1] = { kind = "text", text = node.text }
    end
  end
  return found
end

-- The inlines of a text; `references` has the addresses that have names.
function inline.parse(source, references)
  local parser = setmetatable({ source = source, at = 1, nodes = {}, brackets = {}, references = references }, Parser)
  while parser.at <= #source do
    local special = source:find(SPECIAL, parser.at)
    if special ~= parser.at then
      parser:text(source:sub(parser.at, (special or #source + 1) - 1))
      parser.at = special or #source + 1
    else
      local character = source:sub(special, special)
      if character == "\\" then
        parser:backslash()
      elseif character == "`" then
        parser:code()
      elseif character == "*" or character == "_" or character == "~" then
        parser:run(character)
      elseif character == "[" then
        parser:open(false)
      elseif character == "!" and source:sub(special + 1, special + 1) == "[" then
        parser:open(true)
      elseif character == "]" then
        parser:close()
      elseif character == "<" then
        parser:angle()
      elseif character == "&" then
        parser:entity()
      elseif character == "\n" then
        parser:newline()
      else
        parser:text(character)
        parser.at = special + 1
      end
    end
  end
  return inline.emphasise(parser.nodes)
end

return inline
