for _ = 1, 500 do pcall(error) end
return 500
