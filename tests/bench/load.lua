-- What wrk asks for; reeflab/bench_load.py starts it:  wrk ... -s load.lua URL -- MODE [ARGUMENT...]
--   same              the URL, again and again
--   random SIZE N     /SIZE/1 to /SIZE/N, one at random each time
--   once SIZE WORD    /SIZE/WORD-1, /SIZE/WORD-2, ...: each URL once
-- Prints one line: RESULT and a JSON object with requests, duration_us, errors, latency_p50_us, latency_p99_us.

function init(args)
  local mode, size = args[1], args[2]
  if mode == "random" then
    local requests, count = {}, tonumber(args[3])
    for i = 1, count do requests[i] = wrk.format("GET", "/" .. size .. "/" .. i) end
    local random = math.random
    request = function() return requests[random(count)] end
  elseif mode == "once" then
    -- The text around the number is made once: the load generator shares its core with the origin.
    local text = wrk.format("GET", "/" .. size .. "/" .. args[3] .. "-@")
    local at = text:find("@", 1, true)
    local before, after, number = text:sub(1, at - 1), text:sub(at + 1), 0
    request = function()
      number = number + 1
      return before .. number .. after
    end
  end
end

function done(summary, latency, requests)
  local e = summary.errors
  io.write(string.format(
    'RESULT {"requests": %d, "duration_us": %d, "errors": %d, "latency_p50_us": %d, "latency_p99_us": %d}\n',
    summary.requests, summary.duration, e.connect + e.read + e.write + e.status + e.timeout,
    latency:percentile(50), latency:percentile(99)))
end
