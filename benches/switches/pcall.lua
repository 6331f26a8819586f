local function succeed() return 1 end
for _ = 1, 2000 do pcall(succeed) end
return 2000
