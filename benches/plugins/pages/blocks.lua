-- The blocks of a Markdown text: which lines belong together, and to what.
--
-- Lines are read one by one. Those of a quote or of an item are read again without what makes them one,
-- as a text of their own.

local escape = require("escape")

local blocks = {}

local Parser = {}
Parser.__index = Parser

-- Names of elements that begin a block of HTML wherever they stand.
local ELEMENTS = {}
for name in ([[address article aside base basefont blockquote body caption center col colgroup dd details
  dialog dir div dl dt fieldset figcaption figure footer form frame frameset h1 h2 h3 h4 h5 h6 head header hr
  html iframe legend li link main menu menuitem nav noframes ol optgroup option p param search section summary
  table tbody td tfoot th thead title tr track ul]]):gmatch("%S+") do
  ELEMENTS[name] = true
end

-- How a block of HTML begins and what ends it.
local HTML_KINDS = {
  { begins = "^<[sS][cC][rR][iI][pP][tT][%s>]", ends = "</[sS][cC][rR][iI][pP][tT]>" },
  { begins = "^<[pP][rR][eE][%s>]", ends = "</[pP][rR][eE]>" },
  { begins = "^<[sS][tT][yY][lL][eE][%s>]", ends = "</[sS][tT][yY][lL][eE]>" },
  { begins = "^<!%-%-", ends = "%-%->" },
  { begins = "^<%?", ends = "%?>" },
  { begins = "^<!%a", ends = ">" },
  { begins = "^<!%[CDATA%[", ends = "%]%]>" },
}

-- Tabs lead to the next column that is a multiple of four.
local function without_tabs(line)
  if not line:find("\t", 1, true) then return line end
  local columns = 0
  return (line:gsub("([^\t]*)\t", function(before)
    columns = columns + (utf8.len(before, 1, -1, true) or #before)
    local spaces = 4 - columns % 4
    columns = columns + spaces
    return before .. (" "):rep(spaces)
  end))
end

local function lines_of(text)
  local lines = {}
  text = text:gsub("\r\n?", "\n"):gsub("\0", "\u{FFFD}")
  for line in (text .. "\n"):gmatch("([^\n]*)\n") do lines[#lines + 1] = without_tabs(line) end
  if lines[#lines] == "" then lines[#lines] = nil end
  return lines
end

local function is_blank(line) return not line:find("%S") end
local function indent_of(line) return #line:match("^ *") end

local function is_rule(line)
  local mark = line:match("^ ? ? ?([%*%-_])")
  if not mark then return false end
  local rest = line:gsub("[ \t]", "")
  return #rest >= 3 and not rest:find("[^%" .. mark .. "]")
end

-- The level and the text of a heading that begins with `#`.
local function heading(line)
  local marks, rest = line:match("^ ? ? ?(#+)(.*)$")
  if not marks or #marks > 6 or not (rest == "" or rest:find("^%s")) then return nil end
  rest = rest:gsub("%s+$", "")
  rest = rest:gsub("^%s+#+$", ""):gsub("%s#+$", "")
  return #marks, (rest:gsub("^%s+", ""):gsub("%s+$", ""))
end

-- The fence that begins a block of code: how far in it stands, its marks, and what is said behind it.
local function fence(line)
  local indent, marks, info = line:match("^( ? ? ?)(```+)%s*(.-)%s*$")
  if marks and not info:find("`", 1, true) then return #indent, marks, info end
  indent, marks, info = line:match("^( ? ? ?)(~~~+)%s*(.-)%s*$")
  if marks then return #indent, marks, info end
end

-- The mark of an item of a list: its kind, its number, and the columns up to its text.
local function marker(line)
  local indent, mark, rest = line:match("^( ? ? ?)([%*%-%+])(.*)$")
  local number
  if not mark then
    indent, number, mark, rest = line:match("^( ? ? ?)(%d+)([%.%)])(.*)$")
    if not mark or #number > 9 then return nil end
  end
  if rest ~= "" and not rest:find("^ ") then return nil end
  local width = #indent + #(number or "") + 1
  local spaces = indent_of(rest)
  local text = rest:sub(spaces + 1)
  if text == "" then
    return { kind = mark, number = tonumber(number), width = width + 1, empty = true, text = "" }
  end
  if spaces > 4 then spaces = 1 end
  return {
    kind = mark,
    number = tonumber(number),
    width = width + spaces,
    text = rest:sub(spaces + 1),
  }
end

local function html_kind(line, in_paragraph)
  local text = line:match("^ ? ? ?(<.*)$")
  if not text then return nil end
  for _, kind in ipairs(HTML_KINDS) do
    if text:find(kind.begins) or text:find(kind.begins:gsub("%[%%s>%]$", "$")) then return kind end
  end
  local name = text:match("^</?(%a[%w%-]*)")
  if not name then return nil end
  local behind = text:match("^</?%a[%w%-]*(.?)")
  if ELEMENTS[name:lower()] and behind:find("^[%s>/]?$") then return { blank = true } end
  -- Any other element has a line of its own.
  if in_paragraph then return nil end
  local is_alone = text:find("^<%a[%w%-]*/?>%s*$")
    or text:find("^<%a[%w%-]*%s[^<>]*>%s*$")
    or text:find("^</%a[%w%-]*%s*>%s*$")
  if is_alone then return { blank = true } end
end

-- The cells of a row of a table.
local function cells(line)
  line = line:gsub("^%s*|?", ""):gsub("%s+$", "")
  if line:find("|$") and not line:find("\\|$") then line = line:sub(1, -2) end
  local found, from = {}, 1
  while true do
    local at = from
    repeat
      at = line:find("|", at, true)
      local escaped = at and at > 1 and line:sub(at - 1, at - 1) == "\\"
      if escaped then at = at + 1 end
    until not escaped
    local cell = line:sub(from, at and at - 1):gsub("\\|", "|")
    found[#found + 1] = cell:match("^%s*(.-)%s*$")
    if not at then return found end
    from = at + 1
  end
end

-- The alignments that the second line of a table says.
local function aligns(line)
  if not line:find("|", 1, true) and not line:find("^%s*:?%-+:?%s*$") then return nil end
  local found = {}
  for column, cell in ipairs(cells(line)) do
    local left, right = cell:match("^(:?)%-+(:?)$")
    if not left then return nil end
    found[column] = left ~= "" and right ~= "" and "center"
      or left ~= "" and "left"
      or right ~= "" and "right"
      or false
  end
  return found
end

function Parser:peek(ahead) return self.lines[self.at + (ahead or 0)] end

-- Whether a line ends a paragraph without an empty line before it.
local function interrupts(line)
  if is_rule(line) or heading(line) or fence(line) then return true end
  if line:find("^ ? ? ?>") or html_kind(line, true) then return true end
  local mark = marker(line)
  return mark and not mark.empty and (not mark.number or mark.number == 1)
end

function Parser:quote()
  local inner = {}
  local in_paragraph = false
  while true do
    local line = self:peek()
    if not line then break end
    local rest = line:match("^ ? ? ?> ?(.*)$")
    if rest then
      inner[#inner + 1] = rest
      in_paragraph = not is_blank(rest) and indent_of(rest) < 4 and not is_rule(rest)
        and not heading(rest) and not fence(rest)
    elseif in_paragraph and not is_blank(line) and not interrupts(line) then
      inner[#inner + 1] = line
    else
      break
    end
    self.at = self.at + 1
  end
  return { kind = "quote", children = self:inside(inner) }
end

-- The lines of an item, without the columns up to its text, and whether an empty one is among them.
function Parser:item(mark)
  local inner = { mark.text }
  local blank = false
  local in_paragraph = not mark.empty and not fence(mark.text)
  self.at = self.at + 1
  while true do
    local line = self:peek()
    if not line then break end
    if is_blank(line) then
      if mark.empty and #inner == 1 then break end
      local ahead = 1
      while self:peek(ahead) and is_blank(self:peek(ahead)) do ahead = ahead + 1 end
      local next_line = self:peek(ahead)
      if not next_line or indent_of(next_line) < mark.width then break end
      for _ = 1, ahead do inner[#inner + 1] = "" end
      self.at = self.at + ahead
      blank = true
      in_paragraph = false
    elseif indent_of(line) >= mark.width then
      inner[#inner + 1] = line:sub(mark.width + 1)
      in_paragraph = true
      self.at = self.at + 1
    elseif in_paragraph and not interrupts(line) and not marker(line) then
      inner[#inner + 1] = line
      self.at = self.at + 1
    else
      break
    end
  end
  return inner, blank
end

function Parser:list(mark)
  local list = {
    kind = "list",
    ordered = mark.number ~= nil,
    start = mark.number,
    tight = true,
    children = {},
  }
  while mark and mark.kind == list.mark or #list.children == 0 do
    list.mark = mark.kind
    local inner, blank = self:item(mark)
    local item = { kind = "item" }
    local box, rest = inner[1]:match("^%[([ xX])%]%s+(.*)$")
    if box then
      item.checked = box ~= " "
      inner[1] = rest
    end
    item.children = self:inside(inner)
    if blank and #item.children > 1 then list.tight = false end
    list.children[#list.children + 1] = item
    local ahead = 0
    while self:peek(ahead) and is_blank(self:peek(ahead)) do ahead = ahead + 1 end
    local line = self:peek(ahead)
    mark = line and not is_rule(line) and marker(line)
    if mark and mark.kind == list.mark then
      if ahead > 0 then list.tight = false end
      self.at = self.at + ahead
    end
  end
  return list
end

function Parser:fenced(indent, marks, info)
  local text = {}
  self.at = self.at + 1
  while true do
    local line = self:peek()
    if not line then break end
    self.at = self.at + 1
    local closing = line:match("^ ? ? ?([`~]+)%s*$")
    if closing and #closing >= #marks and closing:sub(1, 1) == marks:sub(1, 1) and not closing:find("[^" .. closing:sub(1, 1) .. "]") then
      break
    end
    text[#text + 1] = line:sub(math.min(indent, indent_of(line)) + 1)
  end
  if #text > 0 then text[#text + 1] = "" end
  return { kind = "codeblock", info = info ~= "" and info or nil, text = table.concat(text, "\n") }
end

function Parser:indented()
  local text = {}
  while true do
    local line = self:peek()
    if not line or not (is_blank(line) or indent_of(line) >= 4) then break end
    text[#text + 1] = line:sub(5)
    self.at = self.at + 1
  end
  while is_blank(text[#text]) do text[#text] = nil end
  return { kind = "codeblock", text = table.concat(text, "\n") .. "\n" }
end

function Parser:htmlblock(kind)
  local text = {}
  while true do
    local line = self:peek()
    if not line or kind.blank and is_blank(line) then break end
    text[#text + 1] = line
    self.at = self.at + 1
    if kind.ends and line:find(kind.ends) then break end
  end
  return { kind = "htmlblock", text = table.concat(text, "\n") }
end

function Parser:table(columns)
  local found = { kind = "table", aligns = columns, head = cells(self:peek()), rows = {} }
  self.at = self.at + 2
  while true do
    local line = self:peek()
    if not line or is_blank(line) or interrupts(line) then return found end
    found.rows[#found.rows + 1] = cells(line)
    self.at = self.at + 1
  end
end

-- Takes what a paragraph says of addresses by name away from its front; nothing where nothing is left.
function Parser:definitions(text)
  while true do
    local label, rest = text:match("^%s*%[([^%[%]]+)%]:%s*(.*)$")
    if not label or not label:find("%S") then return text end
    local address, behind = rest:match("^<([^<>\n]*)>(.*)$")
    if not address then address, behind = rest:match("^(%S+)(.*)$") end
    if not address then return text end
    local title, left
    for _, pattern in ipairs { '^%s+"([^"]*)"[ \t]*(.*)$', "^%s+'([^']*)'[ \t]*(.*)$", "^%s+%(([^()]*)%)[ \t]*(.*)$" } do
      title, left = behind:match(pattern)
      if title and (left == "" or left:sub(1, 1) == "\n") then break end
      title, left = nil, nil
    end
    left = left or behind:match("^[ \t]*(.*)$")
    if left ~= "" and left:sub(1, 1) ~= "\n" then return text end
    local name = escape.label(label)
    if not self.references[name] then
      self.references[name] = { address = escape.plain(address), title = title and escape.plain(title) }
    end
    text = left:gsub("^\n", "")
    if text == "" then return nil end
  end
end

function Parser:paragraph(into)
  local text = {}
  local level
  while true do
    local line = self:peek()
    if not line or is_blank(line) then break end
    if #text > 0 then
      local under = line:match("^ ? ? ?(=+)%s*$") or line:match("^ ? ? ?(%-+)%s*$")
      if under then
        level = under:sub(1, 1) == "=" and 1 or 2
        self.at = self.at + 1
        break
      end
      if interrupts(line) then break end
    end
    text[#text + 1] = line:gsub("^%s+", "")
    self.at = self.at + 1
  end
  local all = self:definitions((table.concat(text, "\n"):gsub("%s+$", "")))
  if not all then return end
  if level then
    into[#into + 1] = { kind = "heading", level = level, text = all }
  else
    into[#into + 1] = { kind = "paragraph", text = all }
  end
end

-- One block, or none where the line is empty.
function Parser:block(into)
  local line = self:peek()
  if is_blank(line) then
    self.at = self.at + 1
    return
  end
  if indent_of(line) >= 4 then
    into[#into + 1] = self:indented()
    return
  end
  if is_rule(line) then
    self.at = self.at + 1
    into[#into + 1] = { kind = "rule" }
    return
  end
  local level, words = heading(line)
  if level then
    self.at = self.at + 1
    into[#into + 1] = { kind = "heading", level = level, text = words }
    return
  end
  local indent, marks, info = fence(line)
  if indent then
    into[#into + 1] = self:fenced(indent, marks, info)
    return
  end
  if line:find("^ ? ? ?>") then
    into[#into + 1] = self:quote()
    return
  end
  local kind = html_kind(line, false)
  if kind then
    into[#into + 1] = self:htmlblock(kind)
    return
  end
  local mark = marker(line)
  if mark then
    into[#into + 1] = self:list(mark)
    return
  end
  local under = self:peek(1)
  local columns = under and line:find("|", 1, true) and aligns(under)
  if columns and #columns == #cells(line) then
    into[#into + 1] = self:table(columns)
    return
  end
  self:paragraph(into)
end

local MAX_DEPTH = 60

-- The blocks of lines that lie inside of a block.
function Parser:inside(lines)
  if self.depth >= MAX_DEPTH then
    return { { kind = "paragraph", text = table.concat(lines, "\n") } }
  end
  local parser = setmetatable(
    { lines = lines, at = 1, references = self.references, depth = self.depth + 1 },
    Parser
  )
  return parser:all()
end

function Parser:all()
  local found = {}
  while self:peek() do self:block(found) end
  return found
end

-- The tree of a text, and what it says of addresses by name.
function blocks.parse(text)
  local references = {}
  local parser = setmetatable({ lines = lines_of(text), at = 1, references = references, depth = 0 }, Parser)
  return { children = parser:all(), references = references }
end

return blocks
