-- Randomizations under wrk: each request the next subject, one of each site in turn.
-- Arguments: token, number of the first site, number of sites.

local here = debug.getinfo(1, "S").source:match("^@(.*/)")
local told = dofile(here .. "told.lua")

local made = 0
local first, sites

function init(args)
  told.prepare(args[1])
  first, sites = tonumber(args[2]), tonumber(args[3])
end

function request()
  local subject = string.format("%02d-%03d", first + made % sites, math.floor(made / sites))
  made = made + 1
  return wrk.format(nil, "/randomization/subjects/" .. subject .. "/randomization", nil, "{}")
end

done = told.done
