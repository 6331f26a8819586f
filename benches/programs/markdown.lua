-- A Markdown parser in Lua, to HTML: headings, lists, quotes, code, links, emphasis.
local entities = { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;" }
local function escape(text) return (text:gsub("[&<>]", entities)) end

local function inline(text)
  local codes = {}
  text = text:gsub("`([^`]+)`", function(code)
    codes[#codes + 1] = "<code>" .. escape(code) .. "</code>"
    return "\1" .. #codes .. "\2"
  end)
  text = escape(text)
  text = text:gsub("!%[([^%]]*)%]%(([^%)]+)%)", '<img alt="%1" src="%2">')
  text = text:gsub("%[([^%]]+)%]%(([^%)]+)%)", '<a href="%2">%1</a>')
  text = text:gsub("%*%*([^%*]+)%*%*", "<b>%1</b>")
  text = text:gsub("%*([^%*]+)%*", "<i>%1</i>")
  return (text:gsub("\1(%d+)\2", function(n) return codes[tonumber(n)] end))
end

local function render(source)
  local out, paragraph, list, fence = {}, {}, nil, nil
  local function emit(text) out[#out + 1] = text end
  local function close()
    if #paragraph > 0 then
      emit("<p>" .. inline(table.concat(paragraph, " ")) .. "</p>")
      paragraph = {}
    end
    if list then
      emit("</" .. list .. ">")
      list = nil
    end
  end
  local function item(kind, text)
    if list ~= kind then
      close()
      list = kind
      emit("<" .. kind .. ">")
    end
    emit("<li>" .. inline(text) .. "</li>")
  end
  for line in (source .. "\n"):gmatch("(.-)\n") do
    local marks, heading = line:match("^(#+)%s+(.*)$")
    if fence then
      if line:match("^```") then
        emit("<pre>" .. escape(table.concat(fence, "\n")) .. "</pre>")
        fence = nil
      else
        fence[#fence + 1] = line
      end
    elseif line:match("^```") then
      close()
      fence = {}
    elseif marks then
      close()
      emit(string.format("<h%d>%s</h%d>", #marks, inline(heading), #marks))
    elseif line:match("^%s*[-*]%s+") then
      item("ul", line:match("^%s*[-*]%s+(.*)$"))
    elseif line:match("^%s*%d+%.%s+") then
      item("ol", line:match("^%s*%d+%.%s+(.*)$"))
    elseif line:match("^>%s?") then
      close()
      emit("<blockquote>" .. inline(line:match("^>%s?(.*)$")) .. "</blockquote>")
    elseif line:match("^%s*$") then
      close()
    else
      paragraph[#paragraph + 1] = line
    end
  end
  close()
  return table.concat(out, "\n")
end

local page = [[
# Title with `code` & *emphasis*

A paragraph of **some** length that goes on
over several lines, with a [link](https://example.org/a?b=1&c=2) and
an image ![alt text](picture.png) in it, and 3 < 4 > 2.

## Lists

- first item with `x < y`
- second *item*
- third **item** and [more](#more)

1. one
2. two
3. three

> A quote that says something **bold**.

```
local x = a < b and c > d
return x & 0xff
```

The end of the section, with *one* more **word** or two.

]]
local html = render(page:rep(25))
local sum = 0
for i = 1, #html, 3 do sum = (sum * 31 + html:byte(i)) % 1000000007 end
return string.format("%d %d", #html, sum)
