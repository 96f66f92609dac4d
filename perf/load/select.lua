-- wrk's part: POST /v1/query with one of pgbench's select-only statements, a random account each time.
--
-- NODEDB_API_KEY is the bearer token, ACCOUNTS the number of accounts, FORM how the account is
-- named: "literal" in the text, "params" as a parameter. The requests are put together by hand,
-- for wrk.format walks over all fields each time, and its cost would be taken from the server's cores.

local heads = {}
local before, after
local accounts = tonumber(os.getenv("ACCOUNTS"))
local DIGITS_MAX = 10

function init()
   local statement = '{"sql":"SELECT abalance FROM pgbench_accounts WHERE aid = '
   if os.getenv("FORM") == "params" then
      before, after = statement .. '$1","params":[', ']}'
   else
      before, after = statement, '"}'
   end
   for digits = 1, DIGITS_MAX do
      heads[digits] = "POST /v1/query HTTP/1.1\r\n"
         .. "Host: " .. wrk.host .. "\r\n"
         .. "Authorization: Bearer " .. os.getenv("NODEDB_API_KEY") .. "\r\n"
         .. "Content-Type: application/json\r\n"
         .. "Content-Length: " .. #before + digits + #after .. "\r\n\r\n" .. before
   end
   math.randomseed(os.time())
end

function request()
   local account = tostring(math.random(accounts))
   return heads[#account] .. account .. after
end

function done(summary, latency)
   local errors = summary.errors
   io.write(string.format(
      '{"requests": %d, "microseconds": %d, "p50_us": %d, "p99_us": %d, "refused": %d, "failed": %d}\n',
      summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
      errors.status, errors.connect + errors.read + errors.write + errors.timeout))
end
