--[[ plugin
name = "pricing"
version = "0.3.1"
description = "Prices orders, cheaper for who has ordered much."
instance = "kept" # what a tenant has ordered so far is remembered

[exports]
quote = "The price of an order, in cents, which then counts as ordered."

[wants]
functions = ["list_price"]
variables = ["currency"]

[limits]
wall = "1s"
memory = "8MiB"
host_calls = 1000
]]

-- From how many pieces on, how many percent less.
local DISCOUNTS = { { 100, 15 }, { 20, 10 }, { 5, 3 } }

local ordered = 0

local function discount(pieces)
  for _, step in ipairs(DISCOUNTS) do
    if pieces >= step[1] then return step[2] end
  end
  return 0
end

function quote(order)
  local pieces, list = 0, 0
  for position, line in ipairs(order.lines) do
    if math.type(line.count) ~= "integer" or line.count < 1 then
      error("line " .. position .. ": the count must be a whole number above zero")
    end
    pieces = pieces + line.count
    list = list + line.count * list_price(line.sku)
  end
  -- Only now, when nothing can go wrong any more.
  ordered = ordered + pieces
  local percent = discount(ordered)
  return {
    currency = variables.currency,
    list = list,
    percent = percent,
    -- The discount is rounded to whole cents.
    total = list - (list * percent + 50) // 100,
    ordered = ordered,
  }
end
