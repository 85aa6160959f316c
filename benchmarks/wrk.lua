-- Sends the bodies of a file in turn, each as one POST; tells what came of it in one line of JSON.
--   wrk … -s wrk.lua URL -- BODIES

local requests, at = {}, 0

function init(arguments)
  for body in io.lines(arguments[1]) do
    requests[#requests + 1] = wrk.format("POST", nil, {["Content-Type"] = "application/json"}, body)
  end
end

function request()
  at = at % #requests + 1
  return requests[at]
end

function done(summary, latency, _)
  local wrong = summary.errors.status + summary.errors.connect + summary.errors.read + summary.errors.write
    + summary.errors.timeout
  io.write(string.format(
    'RESULT {"requests": %d, "seconds": %.6f, "bytes": %d, "errors": %d, "p50_ms": %.3f, "p99_ms": %.3f}\n',
    summary.requests, summary.duration / 1e6, summary.bytes, wrong,
    latency:percentile(50) / 1e3, latency:percentile(99) / 1e3))
end
