import { script, type Script } from '../../../shared/mesh/redis-link.ts'
import { SHARING } from './sharing-lua.ts'

/**
 * What nodes keep in Redis, all below `sluice:`. Each change is one script, so it happens whole or not at all.
 *
 *   epoch, seq                 counters: of sessions begun, of messages stored
 *   sessions:{principal}       client id -> "{epoch} {c clean|p persistent}{expiry, if any} {node, empty while away}"
 *   ends                       client ids whose session ends, by the time (ms); while they are away
 *   subs:{client id}           filter -> QoS, " nl", " rap"         (persistent sessions, as are the next six)
 *   queue:{client id}          number -> message                    not acknowledged by the client yet
 *   bytes:{client id}          length of these messages
 *   ids:{client id}            number -> "{message id}[ r]"         sent with that id; r: PUBREL is
 *   in:{client id}             message ids of QoS 2 that were taken and not released
 *   in-log:{client id}         those of telemetry that is in the log -> digest of the message
 *   wide, wide:version         client id -> {filter: QoS} of persistent sessions of applications, and its number
 *   groups, turns              share -> application that made the group; share -> how many turns there were
 *   group:{share}              client id -> QoS of its members
 *   shares:{client id}         groups that it is a member of                (also of sessions that are not persistent)
 *   shared:{client id}         number -> "{QoS} {times passed on} {share}" of messages in its queue that came by a group
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
${SHARING}
local function forgetStored(id)
  leaveGroups(id)
  call('DEL', P..'subs:'..id, P..'queue:'..id, P..'bytes:'..id, P..'ids:'..id, P..'in:'..id, P..'in-log:'..id)
  call('ZREM', P..'ends', id)
  if call('HDEL', P..'wide', id) == 1 then call('INCR', P..'wide:version') end
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
    if kind == 'p' or isMember(id) then forgetStored(id) end
    call('HDEL', key, id)
  end
end
`

/** A script that knows them. */
export const lua = (text: string): Script => script(PRELUDE + text)
