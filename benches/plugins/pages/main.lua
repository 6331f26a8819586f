-- Makes pages: Markdown becomes HTML, and a template puts it in its place.

local blocks = require("blocks")
local html = require("html")
local template = require("template")

-- HTML of `text`. With `options.headings`, each heading gets an anchor by its words.
function markdown(text, options)
  local document = blocks.parse(text)
  return html.render(document, options or {})
end

template.filters.markdown = function(text)
  return template.safe(markdown(text))
end

-- What the template `source` makes of `data`; `parts` are templates that it may include, by name.
function page(source, data, parts)
  return template.render(source, data or {}, parts or {})
end
