-- The load of the results bench under wrk: each request a report of its own, about the next subject.
-- Arguments: prefix of the ids, number of subjects, token, format of the body (id, subject, id).

local made = 0
local prefix, subjects, format

function init(args)
  prefix, subjects, format = args[1], tonumber(args[2]), args[4]
  wrk.method = "POST"
  wrk.headers["Authorization"] = "Bearer " .. args[3]
  wrk.headers["Content-Type"] = "application/json"
end

function request()
  made = made + 1
  local id = prefix .. made
  local subject = string.format("01-%03d", made % subjects + 1)
  return wrk.format(nil, nil, nil, string.format(format, id, subject, id))
end

-- Times are in microseconds.
function done(summary, latency)
  local errors = summary.errors
  local failed = errors.status + errors.connect + errors.read + errors.write + errors.timeout
  io.write(string.format(
    '{"answered": %d, "failed": %d, "seconds": %f, "p50_ms": %f, "p99_ms": %f}\n',
    summary.requests - errors.status, failed, summary.duration / 1e6,
    latency:percentile(50) / 1e3, latency:percentile(99) / 1e3
  ))
end
