import { MAX_PER_SESSION } from '../../../shared/sessions/bounds.ts'

/**
 * What scripts know of queues, and of groups: who is next, and what becomes of the messages of a member that is gone. In
 * Lua, after `record` of the prelude.
 *
 * `assign` gives a message to one member of a group: by turns to one that is connected, else to one that is away; never to
 * `except`. It is in the queue of the member before its node is told, so a node that dies in between loses nothing.
 */
export const SHARING = `
local function hasRoom(id)
  if tonumber(call('GET', P..'bytes:'..id) or '0') >= ${MAX_PER_SESSION.bytes} then return false end
  return call('HLEN', P..'queue:'..id) < ${MAX_PER_SESSION.messages}
end
local function putIn(id, number, message)
  call('HSET', P..'queue:'..id, number, message)
  call('INCRBY', P..'bytes:'..id, #message)
end
local function takeOut(id, number)
  local queue, bytes = P..'queue:'..id, P..'bytes:'..id
  call('DECRBY', bytes, call('HSTRLEN', queue, number))
  local taken = call('HDEL', queue, number)
  if call('EXISTS', queue) == 0 then call('DEL', bytes) end
  call('HDEL', P..'shared:'..id, number)
  return taken
end
local function assign(share, message, qos, passed, except)
  local members = call('HGETALL', P..'group:'..share)
  local live, away, full = {}, {}, false
  for i = 1, #members, 2 do
    local id, granted = members[i], math.min(tonumber(members[i + 1]), qos)
    local _, _, node = record(string.match(id, '^([^/]*)//') or '', id)
    if node and id ~= except and (granted > 0 or node ~= '') then
      if granted > 0 and not hasRoom(id) then full = true
      elseif node ~= '' then live[#live + 1] = {id, granted, node}
      else away[#away + 1] = {id, granted, node} end
    end
  end
  local from = #live > 0 and live or away
  if #from == 0 then return full and 'full' or 'nobody' end
  local id, granted, node = unpack(from[call('HINCRBY', P..'turns', share, 1) % #from + 1])
  local number = '0'
  if granted > 0 then
    number = string.format('%.0f', call('INCR', P..'seq'))
    putIn(id, number, message)
    call('HSET', P..'shared:'..id, number, granted..' '..passed..' '..share)
  end
  if node ~= '' then
    local head = cjson.encode({c = id, s = share, n = tonumber(number), q = granted})
    call('PUBLISH', P..'node:'..node, 'S'..head..'\\n'..message)
  end
  return granted > 0 and 'stored' or 'sent'
end
local function isMember(id) return call('EXISTS', P..'shares:'..id, P..'shared:'..id) > 0 end
local function leaveGroup(id, share)
  call('SREM', P..'shares:'..id, share)
  if call('HDEL', P..'group:'..share, id) == 0 or call('EXISTS', P..'group:'..share) == 1 then return end
  call('HDEL', P..'groups', share)
  call('HDEL', P..'turns', share)
  call('INCR', P..'wide:version')
end
local function leaveGroups(id)
  for _, share in ipairs(call('SMEMBERS', P..'shares:'..id)) do leaveGroup(id, share) end
  local numbers = call('HKEYS', P..'shared:'..id)
  table.sort(numbers, function(a, b) return tonumber(a) < tonumber(b) end)
  for _, number in ipairs(numbers) do
    local qos, _, share = string.match(call('HGET', P..'shared:'..id, number), '^(%d) (%d+) (.*)$')
    local message = call('HGET', P..'queue:'..id, number)
    -- What was sent at QoS 2 may have arrived [MQTT-4.8.2-5].
    local isOpen = qos == '2' and call('HEXISTS', P..'ids:'..id, number) == 1
    if message and not isOpen then assign(share, message, tonumber(qos), 0, id) end
  end
  call('DEL', P..'shared:'..id)
end
`
