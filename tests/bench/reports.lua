-- Reports under wrk: each request a report of its own, about the next subject.
-- Arguments: token, path, prefix of the ids, number of subjects, format of the body (id, subject, id).

local here = debug.getinfo(1, "S").source:match("^@(.*/)")
local told = dofile(here .. "told.lua")

local made = 0
local prefix, subjects, format

function init(args)
  told.prepare(args[1])
  wrk.path = args[2]
  prefix, subjects, format = args[3], tonumber(args[4]), args[5]
end

function request()
  made = made + 1
  local id = prefix .. made
  local subject = string.format("01-%03d", made % subjects + 1)
  return wrk.format(nil, nil, nil, string.format(format, id, subject, id))
end

done = told.done
