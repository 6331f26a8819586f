local fields = require("fields")

function parse(line)
  return fields.of(line)
end

function summary(lines)
  local result = { requests = 0, unreadable = 0, bytes = 0, statuses = {} }
  local wanted = {}
  for _, line in ipairs(lines) do
    local request = fields.of(line)
    if request then
      result.requests = result.requests + 1
      result.bytes = result.bytes + request.bytes
      local class = request.status // 100 .. "xx"
      result.statuses[class] = (result.statuses[class] or 0) + 1
      wanted[request.path] = (wanted[request.path] or 0) + 1
    else
      result.unreadable = result.unreadable + 1
    end
  end
  for path, count in pairs(wanted) do
    local most = wanted[result.most_wanted] or 0
    -- Of two that are wanted as often, the first in the alphabet: `pairs` has no order.
    if count > most or count == most and path < result.most_wanted then
      result.most_wanted = path
    end
  end
  return result
end
