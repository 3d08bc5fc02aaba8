-- wrk asks for search pages, and checks each answer: 200, whole, and all of its packages of one data push.
local words = { "editor", "image", "library", "server", "python", "game", "font", "network", "data", "tool" }
local asked = 0

request = function()
  asked = asked + 1
  local path = "/search?q=" .. words[asked % #words + 1] .. "&page=" .. (math.floor(asked / #words) % 5 + 1)
  return wrk.format("GET", path, { ["Host"] = "packages.localhost", ["Accept"] = "application/json" })
end

answers, failed, mixed, pushes = 0, 0, 0, 0
local seen = {}

response = function(status, headers, body)
  answers = answers + 1
  if status ~= 200 or not body:find("}%s*$") then
    failed = failed + 1
    return
  end
  local first
  for push in body:gmatch('"version":"push%-(%d+)"') do
    first = first or push
    if push ~= first then
      mixed = mixed + 1
      return
    end
  end
  if first and not seen[first] then
    seen[first] = true
    pushes = pushes + 1
  end
end

local threads = {}
setup = function(thread) table.insert(threads, thread) end

done = function(summary)
  local total = { answers = 0, failed = 0, mixed = 0, pushes = 0 }
  for _, thread in ipairs(threads) do
    for name in pairs(total) do total[name] = total[name] + thread:get(name) end
  end
  local errors = summary.errors
  local lost = errors.connect + errors.read + errors.write + errors.timeout
  print(string.format("churn: %d answers, %d failed, %d lost, %d mixed, %d different pushes seen",
    total.answers, total.failed, lost, total.mixed, total.pushes))
end
