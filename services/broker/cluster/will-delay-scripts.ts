import { lua } from './redis-keys.ts'

/** Of a live connection. Arguments: principal, client id, epoch, message, seconds that it waits when the connection ends. */
export const WILL = lua(`
local principal, id, epoch, message, delay = unpack(ARGV)
if not holds(principal, id, epoch) then return 0 end
call('SET', P..'will:'..id, epoch..' '..delay..'\\n'..message)
return 1
`)

/**
 * A will is due with the end of its connection. Arguments: principal, client id, epoch. Answer: 1 when no connection took the
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
 * Takes wills that are due: for so long no other node takes them. Arguments: most wills, ms. Answer: their client ids.
 */
export const DUE_WILLS = lua(`
local due = call('ZRANGEBYSCORE', P..'wills', '-inf', now(), 'LIMIT', 0, ARGV[1])
for _, id in ipairs(due) do call('ZADD', P..'wills', now() + ARGV[2], id) end
return due
`)

/** They are still being published: no other node takes them for so long. Arguments: ms, then client ids. */
export const KEEP_WILLS = lua(`
for i = 2, #ARGV do call('ZADD', P..'wills', 'XX', now() + ARGV[1], ARGV[i]) end
return 1
`)

/** A will was published, or is none any more. Arguments: client id, epoch. */
export const WILL_DONE = lua(`
if willIs(ARGV[1], ARGV[2]) then forgetWill(ARGV[1]) end
return 1
`)
