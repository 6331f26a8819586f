-- A CSV parser in Lua that goes byte by byte, and a report by groups.
local function parse(text)
  local rows, row, field = {}, {}, {}
  local quoted, at, len = false, 1, #text
  local function end_field()
    row[#row + 1] = table.concat(field)
    field = {}
  end
  while at <= len do
    local c = text:sub(at, at)
    if quoted then
      if c ~= '"' then
        field[#field + 1] = c
      elseif text:sub(at + 1, at + 1) == '"' then
        field[#field + 1] = '"'
        at = at + 1
      else
        quoted = false
      end
    elseif c == '"' then
      quoted = true
    elseif c == "," then
      end_field()
    elseif c == "\n" then
      end_field()
      rows[#rows + 1] = row
      row = {}
    else
      field[#field + 1] = c
    end
    at = at + 1
  end
  return rows
end

local lines = { "id,region,product,amount,note\n" }
local regions, products = { "north", "south", "east", "west" }, { "tea", "coffee", "cocoa" }
for i = 1, 300 do
  lines[#lines + 1] = string.format('%d,%s,%s,%.2f,"note ""%d"", with a comma"\n', i,
    regions[i % #regions + 1], products[i % #products + 1], (i * 37 % 1000) / 8, i)
end

local rows = parse(table.concat(lines))
local columns, totals = {}, {}
for position, name in ipairs(rows[1]) do columns[name] = position end
for i = 2, #rows do
  local row = rows[i]
  local group = row[columns.region] .. "/" .. row[columns.product]
  local total = totals[group] or { count = 0, sum = 0 }
  total.count = total.count + 1
  total.sum = total.sum + tonumber(row[columns.amount])
  totals[group] = total
end
local groups = {}
for group in pairs(totals) do groups[#groups + 1] = group end
table.sort(groups)
for i, group in ipairs(groups) do
  groups[i] = string.format("%s %d %.2f", group, totals[group].count, totals[group].sum)
end
return #rows .. " " .. rows[#rows][columns.note] .. " " .. table.concat(groups, ";")
