-- The tree of a document as HTML.

local escape = require("escape")
local inline = require("inline")

local html = {}

local Writer = {}
Writer.__index = Writer

function Writer:put(...)
  local out = self.out
  for i = 1, select("#", ...) do out[#out + 1] = (select(i, ...)) end
end

-- Begins a line, unless one has begun.
function Writer:line()
  local out = self.out
  local last = out[#out]
  if last and last:sub(-1) ~= "\n" then out[#out + 1] = "\n" end
end

function Writer:inlines(nodes)
  for _, node in ipairs(nodes) do self[node.kind](self, node) end
end

function Writer:blocks(nodes)
  for _, node in ipairs(nodes) do self[node.kind](self, node) end
end

function Writer:text(node) self:put(escape.html(node.text)) end
function Writer:code(node) self:put("<code>", escape.html(node.text), "</code>") end
function Writer:raw(node) self:put(self.options.safe and escape.html(node.text) or node.text) end
function Writer:softbreak() self:put("\n") end
function Writer:hardbreak() self:put("<br />\n") end

local function around(tag)
  return function(self, node)
    self:put("<", tag, ">")
    self:inlines(node.children)
    self:put("</", tag, ">")
  end
end

Writer.emphasis = around("em")
Writer.strong = around("strong")
Writer.struck = around("del")

local function is_dangerous(address)
  local scheme = address:lower():match("^%s*(%a[%w+.-]*):")
  return scheme == "javascript" or scheme == "vbscript" or scheme == "data" or scheme == "file"
end

function Writer:link(node)
  local address = self.options.safe and is_dangerous(node.address) and "" or node.address
  self:put('<a href="', escape.address(address), '"')
  if node.title then self:put(' title="', escape.html(node.title), '"') end
  self:put(">")
  self:inlines(node.children)
  self:put("</a>")
end

-- The text alone of what stands in an image.
local function words(nodes, into)
  for _, node in ipairs(nodes) do
    if node.text then
      into[#into + 1] = node.text
    elseif node.kind == "softbreak" or node.kind == "hardbreak" then
      into[#into + 1] = "\n"
    elseif node.children then
      words(node.children, into)
    end
  end
  return into
end

function Writer:image(node)
  self:put('<img src="', escape.address(node.address), '" alt="')
  self:put(escape.html(table.concat(words(node.children, {}))), '"')
  if node.title then self:put(' title="', escape.html(node.title), '"') end
  self:put(" />")
end

function Writer:parsed(text) return inline.parse(text, self.references) end

function Writer:paragraph(node)
  local nodes = self:parsed(node.text)
  if self.tight then return self:inlines(nodes) end
  self:line()
  self:put("<p>")
  self:inlines(nodes)
  self:put("</p>\n")
end

function Writer:heading(node)
  local tag = "h" .. node.level
  local nodes = self:parsed(node.text)
  self:line()
  if self.options.headings then
    local anchor = escape.anchor(table.concat(words(nodes, {})))
    local count = self.anchors[anchor]
    self.anchors[anchor] = (count or 0) + 1
    if count then anchor = anchor .. "-" .. count end
    self:put("<", tag, ' id="', escape.html(anchor), '">')
  else
    self:put("<", tag, ">")
  end
  self:inlines(nodes)
  self:put("</", tag, ">\n")
end

function Writer:rule()
  self:line()
  self:put("<hr />\n")
end

function Writer:codeblock(node)
  self:line()
  local language = node.info and escape.plain(node.info):match("^%S+")
  if language then
    self:put('<pre><code class="language-', escape.html(language), '">')
  else
    self:put("<pre><code>")
  end
  self:put(escape.html(node.text), "</code></pre>\n")
end

function Writer:htmlblock(node)
  self:line()
  self:put(self.options.safe and escape.html(node.text) or node.text, "\n")
end

function Writer:quote(node)
  self:line()
  self:put("<blockquote>\n")
  local tight = self.tight
  self.tight = false
  self:blocks(node.children)
  self.tight = tight
  self:line()
  self:put("</blockquote>\n")
end

function Writer:list(node)
  self:line()
  local tag = node.ordered and "ol" or "ul"
  local start = node.ordered and node.start ~= 1 and ' start="' .. node.start .. '"' or ""
  self:put("<", tag, start, ">\n")
  local tight = self.tight
  self.tight = node.tight
  for _, item in ipairs(node.children) do
    self:put("<li>")
    if item.checked ~= nil then
      self:put('<input type="checkbox" disabled=""', item.checked and ' checked=""' or "", " /> ")
    end
    if #item.children > 0 and (not node.tight or item.children[1].kind ~= "paragraph") then
      self:put("\n")
    end
    for place, child in ipairs(item.children) do
      self[child.kind](self, child)
      if node.tight and child.kind == "paragraph" and item.children[place + 1] then self:put("\n") end
    end
    self:put("</li>\n")
  end
  self.tight = tight
  self:put("</", tag, ">\n")
end

function Writer:table(node)
  local function row(cells, tag)
    self:put("<tr>\n")
    for column, align in ipairs(node.aligns) do
      self:put("<", tag, align and ' align="' .. align .. '"' or "", ">")
      self:inlines(self:parsed(cells[column] or ""))
      self:put("</", tag, ">\n")
    end
    self:put("</tr>\n")
  end
  self:line()
  self:put("<table>\n<thead>\n")
  row(node.head, "th")
  self:put("</thead>\n")
  if #node.rows > 0 then
    self:put("<tbody>\n")
    for _, cells in ipairs(node.rows) do row(cells, "td") end
    self:put("</tbody>\n")
  end
  self:put("</table>\n")
end

-- HTML of a document. `options.safe` leaves no HTML of the text's own in it, and no script's address.
function html.render(document, options)
  local writer = setmetatable({
    out = {},
    options = options,
    references = document.references,
    anchors = {},
    tight = false,
  }, Writer)
  writer:blocks(document.children)
  return table.concat(writer.out)
end

return html
