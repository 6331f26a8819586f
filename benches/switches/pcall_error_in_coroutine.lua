coroutine.wrap(function()
  for _ = 1, 500 do pcall(error) end
end)()
return 500
