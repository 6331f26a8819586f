-- The fields of an access log's line, found by one pattern for each of the two formats.
local fields = {}

local COMMON = '^(%S+) %S+ (%S+) %[([^%]]+)%] "(%u+) (%S+) [^"]*" (%d%d%d) ([%d-]+)'
local COMBINED = COMMON .. ' "([^"]*)" "([^"]*)"%s*$'

local function present(text)
  if text ~= "-" and text ~= "" then return text end
end

function fields.of(line)
  local host, user, time, method, path, status, bytes, referer, agent = line:match(COMBINED)
  if not host then
    host, user, time, method, path, status, bytes = line:match(COMMON .. "%s*$")
  end
  if not host then return nil end
  return {
    host = host,
    user = present(user),
    time = time,
    method = method,
    path = path:match("^[^?]*"),
    status = math.tointeger(status),
    bytes = math.tointeger(bytes) or 0,
    referer = present(referer or ""),
    agent = present(agent or ""),
  }
end

return fields
