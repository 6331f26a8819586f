local function fail(t) return t.field end
for _ = 1, 500 do pcall(fail) end
return 500
