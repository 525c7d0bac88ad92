import { lua } from './redis-keys.ts'

/**
 * A client id becomes the session of a node. Arguments: principal, client id, c|p{seconds, if it ends}, node, 1 to take
 * it from a node that holds it, most persistent sessions of a principal, 1 to forget what is kept, as when its time was
 * up. Answer: {epoch, former node, 1 when the session goes on, and then its former epoch and what is unreleased of its
 * telemetry: ids and digests by turns}, {epoch, former node, 0, 1 when another session of the login is gone for it}, {0,
 * node that holds it}, or {-1} when the login has too many.
 */
export const CLAIM = lua(`
local function keepsNothing(id)
  local keys = {P..'subs:'..id, P..'queue:'..id, P..'ids:'..id, P..'in:'..id, P..'in-log:'..id, P..'will:'..id}
  return call('EXISTS', unpack(keys)) == 0
end
-- 0 when there was room, 1 when another session is gone, -1 when none may go.
local function makeRoom(principal, max)
  local key, count, oldest, least = P..'sessions:'..principal, 0, nil, math.huge
  if call('HLEN', key) < max then return 0 end
  local all = call('HGETALL', key)
  for i = 1, #all, 2 do
    local epoch, node = string.match(all[i + 1], '^(%d+) p%d* (.*)$')
    if epoch then count = count + 1 end
    if node == '' and tonumber(epoch) < least and keepsNothing(all[i]) then oldest, least = all[i], tonumber(epoch) end
  end
  if count < max then return 0 end
  if not oldest then return -1 end
  forgetStored(oldest)
  call('HDEL', key, oldest)
  return 1
end
local principal, id, kindAndSeconds, node, force, max, isNew = unpack(ARGV)
local kind = string.sub(kindAndSeconds, 1, 1)
local epoch, oldKind, oldNode = record(principal, id)
if epoch and oldNode ~= '' and oldNode ~= node and force == '0' then return {0, oldNode} end
local room = kind == 'p' and oldKind ~= 'p' and makeRoom(principal, tonumber(max)) or 0
if room < 0 then return {-1, ''} end
local new = call('INCR', P..'epoch')
call('HSET', P..'sessions:'..principal, id, new..' '..kindAndSeconds..' '..node)
call('SADD', P..'clients:'..node, id)
if epoch and oldNode ~= '' and oldNode ~= node then call('SREM', P..'clients:'..oldNode, id) end
local ends = call('ZSCORE', P..'ends', id)
local isOver = ends and tonumber(ends) <= now()
local isOther = kind == 'c' and oldKind == 'p' or oldKind == 'c' and isMember(id)
if isNew == '1' or isOver or isOther then forgetStored(id) else call('ZREM', P..'ends', id) end
forgetWill(id)
local isPresent = kind == 'p' and oldKind == 'p' and isNew ~= '1' and not isOver
if not isPresent then return {new, oldNode or '', 0, room} end
return {new, oldNode, 1, epoch, call('HGETALL', P..'in-log:'..id)}
`)

/**
 * The connection has ended. Arguments: principal, client id, epoch, node, seconds that the session outlives it (empty:
 * forever; none: as it was said at its beginning). Answer: 1 unless another holds it.
 */
export const RELEASE = lua(`
local principal, id, mine, node, rest = unpack(ARGV)
local epoch, kind, holder, seconds = record(principal, id)
if epoch == mine or holder ~= node then call('SREM', P..'clients:'..node, id) end
if epoch ~= mine then return 0 end
giveBack(principal, id, epoch, kind, rest or seconds)
return 1
`)

/**
 * After Redis was down: does the session still belong to the node? Arguments: principal, client id, epoch, as for
 * {@link CLAIM} c|p{seconds}, node. A record that was lost is made again. Answer: 1 or 0.
 */
export const CONFIRM = lua(`
local principal, id, mine, kind, node = unpack(ARGV)
local epoch, _, holder = record(principal, id)
if epoch and (epoch ~= mine or holder ~= node) then return 0 end
call('HSET', P..'sessions:'..principal, id, mine..' '..kind..' '..node)
call('SADD', P..'clients:'..node, id)
if tonumber(call('GET', P..'epoch') or '0') < tonumber(mine) then call('SET', P..'epoch', mine) end
return 1
`)

/**
 * The connection to a dead node has ended; its will waits from now on. The epoch grows, so that a node that was only
 * asleep holds nothing any more. Arguments: principal, client id, node.
 */
export const REAP = lua(`
local principal, id, node = unpack(ARGV)
local epoch, kind, holder, seconds = record(principal, id)
if epoch and holder == node then
  giveBack(principal, id, call('INCR', P..'epoch'), kind, seconds)
  local delay = string.match(call('GET', P..'will:'..id) or '', '^%d+ (%d+)\\n')
  if willIs(id, epoch) then call('ZADD', P..'wills', now() + (delay or 0) * 1000, id) end
end
call('SREM', P..'clients:'..node, id)
return 1
`)

/**
 * What a login left: its sessions without connection and, for a device, the retained messages below its topics. A node
 * that holds one of its sessions closes that first, and does this then. Arguments: principal.
 */
export const FORGET = lua(`
local principal = ARGV[1]
for _, id in ipairs(call('HKEYS', P..'sessions:'..principal)) do
  local _, _, node = record(principal, id)
  if node == '' then
    forgetStored(id)
    forgetWill(id)
    call('HDEL', P..'sessions:'..principal, id)
  end
end
local place = 't/'..principal
local key = P..'retained:'..place
for _, topic in ipairs(call('HKEYS', key)) do
  call('DECR', P..'retained:count')
  call('DECRBY', P..'retained:bytes', call('HSTRLEN', key, topic))
end
call('DEL', key)
call('SREM', P..'retained', place)
return 1
`)

/**
 * Ends sessions whose time is up; any node may ask, and several at once. A will that still waits is due with its session.
 * Arguments: most sessions. Answer: how many were due.
 */
export const END_DUE = lua(`
local due = call('ZRANGEBYSCORE', P..'ends', '-inf', now(), 'LIMIT', 0, ARGV[1])
for _, id in ipairs(due) do
  local principal = string.match(id, '^([^/]*)//') or string.match(id, '^[^/]*/[^/]*')
  local _, _, node = record(principal, id)
  if (node or '') == '' then
    forgetStored(id)
    call('HDEL', P..'sessions:'..principal, id)
    if call('EXISTS', P..'will:'..id) == 1 then call('ZADD', P..'wills', now(), id) end
  else call('ZREM', P..'ends', id) end
end
return #due
`)

/** Arguments: principal, client id, epoch. Answer: 1 when the session is that of the epoch. */
export const HOLDS = lua(`
return holds(ARGV[1], ARGV[2], ARGV[3]) and 1 or 0
`)

/**
 * Subscriptions of a persistent session. Arguments: principal, client id, epoch, 1 for those of an application, most
 * sessions with such, then filter and options by turns: QoS, then "nl" and "rap"; -1 removes. Answer: 1, 0 when fenced off, -1 when there are
 * too many.
 */
export const SUBSCRIBE = lua(`
local principal, id, epoch, wide, max = unpack(ARGV)
if not holds(principal, id, epoch) then return 0 end
local key = P..'subs:'..id
if wide == '1' and call('HEXISTS', P..'wide', id) == 0 and call('HLEN', P..'wide') >= tonumber(max) then return -1 end
for i = 6, #ARGV, 2 do
  if ARGV[i + 1] == '-1' then call('HDEL', key, ARGV[i]) else call('HSET', key, ARGV[i], ARGV[i + 1]) end
end
if wide == '1' then
  local all = call('HGETALL', key)
  local filters = {}
  for i = 1, #all, 2 do filters[all[i]] = tonumber(string.match(all[i + 1], '^%d')) end
  if #all == 0 then call('HDEL', P..'wide', id) else call('HSET', P..'wide', id, cjson.encode(filters)) end
  call('INCR', P..'wide:version')
end
return 1
`)

/** Fenced write into a hash of the session. Arguments: principal, client id, epoch, hash, field, value. */
export const NOTE = lua(`
local principal, id, epoch, hash, field, value = unpack(ARGV)
if not holds(principal, id, epoch) then return 0 end
call('HSET', P..hash..':'..id, field, value)
return 1
`)

/**
 * What is unreleased of the telemetry of several sessions. Arguments: for each of them client id, principal, epoch and the
 * number of changes, then each as id and digest; an empty digest removes. Answer: which of the sessions, from 0, are
 * others'.
 */
export const RECORD = lua(`
local lost, at, number = {}, 1, 0
while at <= #ARGV do
  local id, mine, changes = ARGV[at], holds(ARGV[at + 1], ARGV[at], ARGV[at + 2]), tonumber(ARGV[at + 3])
  if not mine then lost[#lost + 1] = number end
  for change = at + 4, at + 3 + 2 * changes, 2 do
    if mine and ARGV[change + 1] == '' then call('HDEL', P..'in-log:'..id, ARGV[change])
    elseif mine then call('HSET', P..'in-log:'..id, ARGV[change], ARGV[change + 1]) end
  end
  at, number = at + 4 + 2 * changes, number + 1
end
return lost
`)

/** A message was acknowledged. Arguments: principal, client id, epoch, number. Answer: the message, or false. */
export const ACKNOWLEDGE = lua(`
local principal, id, epoch, number = unpack(ARGV)
if not holds(principal, id, epoch) then return 0 end
call('HDEL', P..'ids:'..id, number)
return takeOut(id, number)
`)

/**
 * A session becomes a member of a group. Arguments: principal, client id, epoch, share, QoS, most groups, most of them of
 * one application, most members. Answer: 1, 0 when fenced off, -1 when there are too many.
 */
export const JOIN = lua(`
local principal, id, epoch, share, qos, maxGroups, maxOwn, maxMembers = unpack(ARGV)
if not holds(principal, id, epoch) then return 0 end
local group = P..'group:'..share
if call('HEXISTS', group, id) == 0 and call('HLEN', group) >= tonumber(maxMembers) then return -1 end
if call('HEXISTS', P..'groups', share) == 0 then
  local own, makers = 0, call('HVALS', P..'groups')
  for _, maker in ipairs(makers) do if maker == principal then own = own + 1 end end
  if #makers >= tonumber(maxGroups) or own >= tonumber(maxOwn) then return -1 end
  call('HSET', P..'groups', share, principal)
  call('INCR', P..'wide:version')
end
call('HSET', group, id, qos)
call('SADD', P..'shares:'..id, share)
return 1
`)

/** Arguments: principal, client id, epoch, share. Answer: 1, or 0 when fenced off. */
export const LEAVE = lua(`
local principal, id, epoch, share = unpack(ARGV)
if not holds(principal, id, epoch) then return 0 end
leaveGroup(id, share)
return 1
`)

/**
 * A member may not have a message: another one gets it, until each has been asked. Arguments: principal, client id, epoch,
 * number.
 */
export const PASS_ON = lua(`
local principal, id, epoch, number = unpack(ARGV)
local mark = holds(principal, id, epoch) and call('HGET', P..'shared:'..id, number)
if not mark then return 0 end
local qos, passed, share = string.match(mark, '^(%d) (%d+) (.*)$')
local message = call('HGET', P..'queue:'..id, number)
call('HDEL', P..'ids:'..id, number)
takeOut(id, number)
passed = tonumber(passed) + 1
if not message or passed >= call('HLEN', P..'group:'..share) then return 0 end
assign(share, message, tonumber(qos), passed, id)
return 1
`)

/** A message has expired before it was sent. Arguments: client id, number. */
export const DROP = lua('return takeOut(ARGV[1], ARGV[2])')
