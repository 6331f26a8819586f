local switch = coroutine.wrap(function()
  while true do coroutine.yield() end
end)
for _ = 1, 500 do switch() end
return 500
