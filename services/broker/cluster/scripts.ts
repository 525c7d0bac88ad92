import { script } from '../../../shared/mesh/redis-link.ts'

/**
 * What nodes keep in Redis, all below `sluice:`. Each change is one script, so it happens whole or not at all.
 *
 *   epoch, seq                 counters: of sessions begun, of messages stored
 *   sessions:{principal}       client id -> "{epoch} {c clean|p persistent}{expiry, if any} {node, empty while away}"
 *   ends                       client ids whose session ends, by the time (ms); while they are away
 *   subs:{client id}           filter -> QoS                        (persistent sessions, as are the next five)
 *   queue:{client id}          number -> message                    not acknowledged by the client yet
 *   bytes:{client id}          length of these messages
 *   ids:{client id}            number -> "{message id}[ r]"         sent with that id; r: PUBREL is
 *   in:{client id}             message ids of QoS 2 that were taken and not released
 *   wide, wide:version         client id -> {filter: QoS} of persistent sessions of applications, and its number
 *   will:{client id}           "{epoch} {seconds that it waits for its client}\n{message}"
 *   wills                      client ids whose will waits, by the time it is due (ms); while they are away
 *   nodes, lease:{node}        names of the nodes; what each says of itself, gone when it is silent
 *   clients:{node}             client ids of its sessions
 *   retained, retained:{place} places with retained messages, and those; retained:count, retained:bytes of all
 */
const PRELUDE = `
local P = 'sluice:'
local call = redis.call
local function record(principal, id)
  local text = call('HGET', P..'sessions:'..principal, id)
  if not text then return nil end
  local epoch, kind, seconds, node = string.match(text, '^(%d+) (%a)(%d*) (.*)$')
  return epoch, kind, node, seconds
end
local function now()
  local time = call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end
local function holds(principal, id, epoch) return record(principal, id) == epoch end
local function forgetStored(id)
  call('DEL', P..'subs:'..id, P..'queue:'..id, P..'bytes:'..id, P..'ids:'..id, P..'in:'..id)
  call('ZREM', P..'ends', id)
  if call('HDEL', P..'wide', id) == 1 then call('INCR', P..'wide:version') end
end
local function takeOut(id, number)
  local queue, bytes = P..'queue:'..id, P..'bytes:'..id
  call('DECRBY', bytes, call('HSTRLEN', queue, number))
  local taken = call('HDEL', queue, number)
  if call('EXISTS', queue) == 0 then call('DEL', bytes) end
  return taken
end
local function willIs(id, epoch)
  local will = call('GET', P..'will:'..id)
  return will and string.match(will, '^%d+') == epoch
end
local function forgetWill(id)
  call('DEL', P..'will:'..id)
  call('ZREM', P..'wills', id)
end
-- Its connection is gone: for so many seconds it is kept without, or until somebody ends it.
local function giveBack(principal, id, epoch, kind, seconds)
  local key = P..'sessions:'..principal
  if kind == 'p' and seconds ~= '0' then
    call('HSET', key, id, epoch..' p ')
    if seconds ~= '' then call('ZADD', P..'ends', now() + seconds * 1000, id) end
  else
    if kind == 'p' then forgetStored(id) end
    call('HDEL', key, id)
  end
end
`

const lua = (text: string) => script(PRELUDE + text)

/**
 * A client id becomes the session of a node. Arguments: principal, client id, c|p{seconds, if it ends}, node, 1 to take
 * it from a node that holds it, most persistent sessions of a principal, 1 to forget what is kept, as when its time was
 * up. Answer: {epoch, former node} or {0, node that holds it} or {-1}.
 */
export const CLAIM = lua(`
local function isFull(principal, max)
  local key, count = P..'sessions:'..principal, 0
  if call('HLEN', key) < max then return false end
  for _, text in ipairs(call('HVALS', key)) do
    if string.match(text, '^%d+ p') then count = count + 1 end
  end
  return count >= max
end
local principal, id, kindAndSeconds, node, force, max, isNew = unpack(ARGV)
local kind = string.sub(kindAndSeconds, 1, 1)
local epoch, oldKind, oldNode = record(principal, id)
if epoch and oldNode ~= '' and oldNode ~= node and force == '0' then return {0, oldNode} end
if kind == 'p' and oldKind ~= 'p' and isFull(principal, tonumber(max)) then return {-1, ''} end
local new = call('INCR', P..'epoch')
call('HSET', P..'sessions:'..principal, id, new..' '..kindAndSeconds..' '..node)
call('SADD', P..'clients:'..node, id)
if epoch and oldNode ~= '' and oldNode ~= node then call('SREM', P..'clients:'..oldNode, id) end
local ends = call('ZSCORE', P..'ends', id)
local isOver = ends and tonumber(ends) <= now()
if isNew == '1' or isOver or kind == 'c' and oldKind == 'p' then forgetStored(id) else call('ZREM', P..'ends', id) end
forgetWill(id)
return {new, oldNode or ''}
`)

/**
 * The connection has ended. Arguments: principal, client id, epoch, node, seconds that the session outlives it (empty:
 * for ever; none: as it was said at its beginning). Answer: 1 unless another holds it.
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
 * After Redis was away: does the session still belong to the node? Arguments: principal, client id, epoch, as for
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
 * The connection to a dead node has ended; its will waits from now on. The epoch goes on, so that a node that was only
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

/**
 * A will is due with the end of its connection. Arguments: principal, client id, epoch. Answer: 1 when nobody took the
 * session since, even if it has ended.
 */
export const WILL_DUE = lua(`
local principal, id, mine = unpack(ARGV)
local epoch, _, holder = record(principal, id)
local isThere = willIs(id, mine)
if isThere and (holder or '') == '' then forgetWill(id) end
return (epoch == mine or not epoch and isThere) and 1 or 0
`)

/**
 * A will waits for its client. Arguments: principal, client id, epoch (empty: it had none), ms, message. Answer: 1 unless
 * another connection took the session since.
 */
export const POSTPONE = lua(`
local principal, id, mine, ms, message = unpack(ARGV)
local epoch, _, holder = record(principal, id)
local isTrue = epoch == mine or willIs(id, mine)
if mine == '' then isTrue = (holder or '') == '' end
if not isTrue then return 0 end
call('SET', P..'will:'..id, (mine == '' and '0' or mine)..' 0\\n'..message)
call('ZADD', P..'wills', now() + ms, id)
return 1
`)

/**
 * Takes wills that are due: for so long they are nobody else's. Arguments: most wills, ms. Answer: their client ids.
 */
export const DUE_WILLS = lua(`
local due = call('ZRANGEBYSCORE', P..'wills', '-inf', now(), 'LIMIT', 0, ARGV[1])
for _, id in ipairs(due) do call('ZADD', P..'wills', now() + ARGV[2], id) end
return due
`)

/** A will was published, or is none any more. Arguments: client id, epoch. */
export const WILL_DONE = lua(`
if willIs(ARGV[1], ARGV[2]) then forgetWill(ARGV[1]) end
return 1
`)

/** Arguments: principal, client id, epoch. Answer: 1 when the session is that of the epoch. */
export const HOLDS = lua(`
return holds(ARGV[1], ARGV[2], ARGV[3]) and 1 or 0
`)

/**
 * Subscriptions of a persistent session. Arguments: principal, client id, epoch, 1 for those of an application, most
 * sessions with such, then filter and QoS by turns; QoS -1 removes. Answer: 1, 0 when fenced off, -1 when there are
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
  for i = 1, #all, 2 do filters[all[i]] = tonumber(all[i + 1]) end
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

/** A message was acknowledged. Arguments: principal, client id, epoch, number. Answer: the message, or false. */
export const ACKNOWLEDGE = lua(`
local principal, id, epoch, number = unpack(ARGV)
if not holds(principal, id, epoch) then return 0 end
call('HDEL', P..'ids:'..id, number)
return takeOut(id, number)
`)

/** A message has expired before it was sent. Arguments: client id, number. */
export const DROP = lua('return takeOut(ARGV[1], ARGV[2])')

/** Of a live connection. Arguments: principal, client id, epoch, message, seconds that it waits when the connection ends. */
export const WILL = lua(`
local principal, id, epoch, message, delay = unpack(ARGV)
if not holds(principal, id, epoch) then return 0 end
call('SET', P..'will:'..id, epoch..' '..delay..'\\n'..message)
return 1
`)
