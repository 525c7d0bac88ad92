import { script } from '../../../shared/mesh/redis-link.ts'
import { lua } from './redis-keys.ts'

/**
 * One message on its way: into the queue of each persistent session that wants it, and to each node with a live one, in
 * one step: it is stored before a subscriber sees it, and a node that dies in between loses nothing.
 *
 * Arguments: node that publishes; device whose own topic this is, or empty; topic; QoS; number of the list of wide
 * subscriptions that the node knows; message; how many sessions of applications want it, and how many groups; their
 * client ids; the shares; then the nodes with other subscribers. Answer: {number of the message, sessions that keep it,
 * sessions that are full, devices' live sessions, of them on this node}, or {-1} when the list is a newer one.
 */
export const PUBLISH = lua(`
local origin, principal, topic, qos, version, message, sessions, groups = unpack(ARGV, 1, 8)
local keeps = qos ~= '0'
if keeps and (call('GET', P..'wide:version') or '0') ~= version then return {-1, 0, 0, 0, 0} end
local number = 0
if keeps then number = call('INCR', P..'seq') end
local stored, full, live, here = 0, 0, 0, 0
local function keep(id)
  if hasRoom(id) then
    putIn(id, number, message)
    stored = stored + 1
  else full = full + 1 end
end

local function levels(text)
  local list = {}
  for level in string.gmatch(text..'/', '([^/]*)/') do list[#list + 1] = level end
  return list
end
local words
local function matches(filter)
  words = words or levels(topic)
  local pattern = levels(filter)
  for i, level in ipairs(pattern) do
    if level == '#' then return true end
    if words[i] == nil then return false end
    if level ~= '+' and level ~= words[i] then return false end
  end
  return #pattern == #words
end
local function wants(id)
  local subs = call('HGETALL', P..'subs:'..id)
  for i = 1, #subs, 2 do
    if string.sub(subs[i + 1], 1, 1) ~= '0' and matches(subs[i]) then return true end
  end
  return false
end

local nodes = {}
local behind = 8 + tonumber(sessions)
for i = 9, behind do keep(ARGV[i]) end
for i = behind + 1, behind + tonumber(groups) do
  local became = assign(ARGV[i], message, tonumber(qos), 0)
  if became == 'stored' then stored = stored + 1 elseif became == 'full' then full = full + 1 end
end
for i = behind + tonumber(groups) + 1, #ARGV do nodes[ARGV[i]] = true end
if principal ~= '' then
  local all = call('HGETALL', P..'sessions:'..principal)
  for i = 1, #all, 2 do
    local _, kind, node = string.match(all[i + 1], '^(%d+) (%a)%d* (.*)$')
    if node ~= '' then
      live = live + 1
      if node == origin then here = here + 1 else nodes[node] = true end
    end
    if keeps and kind == 'p' and wants(all[i]) then keep(all[i]) end
  end
end
for node in pairs(nodes) do call('PUBLISH', P..'node:'..node, 'M'..number..'\\n'..message) end
return {number, stored, full, live, here}
`)

/**
 * Keeps a retained message in place of the one that its topic had; an empty payload removes it, and so does one for which
 * there is no room. Arguments: place, topic, message or empty, most messages and bytes in all, and those of a device.
 * Answer: 1, or 0 when there is no room. What one place holds is counted when it grows, so that no count of it can be
 * wrong.
 */
export const RETAIN = script(`
local P = 'sluice:'
local call = redis.call
local place, topic, message = unpack(ARGV, 1, 3)
local key = P..'retained:'..place
local function most(index) return tonumber(ARGV[index]) end
local function used(name) return tonumber(call('GET', P..'retained:'..name) or '0') end

local old = call('HSTRLEN', key, topic)
if call('HDEL', key, topic) == 1 then
  call('DECR', P..'retained:count')
  call('DECRBY', P..'retained:bytes', old)
end
local function fits()
  -- Whatever the bounds were when the old one came.
  if #message <= old then return true end
  if used('count') >= most(4) or used('bytes') + #message > most(5) then return false end
  if place == 'elsewhere' then return true end
  if call('HLEN', key) >= most(6) then return false end
  local bytes = #message
  for _, other in ipairs(call('HKEYS', key)) do bytes = bytes + call('HSTRLEN', key, other) end
  return bytes <= most(7)
end
if message ~= '' and fits() then
  call('HSET', key, topic, message)
  call('INCR', P..'retained:count')
  call('INCRBY', P..'retained:bytes', #message)
  call('SADD', P..'retained', place)
  return 1
end
if call('EXISTS', key) == 0 then call('SREM', P..'retained', place) end
return message == '' and 1 or 0
`)
