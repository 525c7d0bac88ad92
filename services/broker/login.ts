import type { DeadLetter } from '../../shared/dead-letter.ts'
import { toSluiceError, type ErrorCode } from '../../shared/errors.ts'
import type { Principal } from '../../shared/registry/port.ts'
import { describeLogin, type Authenticator } from './authenticate.ts'
import type { Authorizer } from './authorize.ts'
import type { Capacity } from './capacity.ts'
import type { ConnectPacket } from './connect-packet.ts'
import type { Tally } from './counters.ts'
import { Reason } from './mqtt5/reason.ts'
import type { Origin } from './origin.ts'
import { connack, Refused, type ConnackCode } from './packets.ts'
import type { ReceiveClock } from '../../shared/receive-clock.ts'
import type { Router } from './routes.ts'
import { scopedClientId } from './sessions.ts'

export interface LoginContext {
  readonly authenticator: Pick<Authenticator, 'authenticate'>
  readonly authorizer: Pick<Authorizer, 'login'>
  readonly router: Router
  readonly capacity: Capacity
  readonly tally: Tally
  readonly takeovers: Takeovers
}

/** A connection that may be replaced by a newer one of its login and client id. */
export interface Replaceable {
  readonly isClosed: boolean
  /** May be called again; the reason is one of MQTT 5. */
  close(reason?: number): void
  /** Resolves when aedes has forgotten the connection. */
  readonly ended: Promise<void>
}

export interface Admitted {
  readonly principal: Principal
  /** Scoped by login. */
  readonly clientId: string
  /** To be called once, when the connection has ended. */
  readonly release: () => void
}

/**
 * Lets a client in: who it is, whether its will is allowed, and the end of an older connection with its id
 * [MQTT-3.1.4-2]. Undefined when the connection closed meanwhile. Throws {@link Refused}.
 */
export async function admit(
  context: LoginContext,
  connection: Replaceable,
  packet: ConnectPacket,
  origin: Origin,
): Promise<Admitted | undefined> {
  const who = describeLogin(packet)
  if (context.capacity.refusesNewcomers) {
    context.tally.newcomersRefused += 1
    throw new Refused('broker_overloaded', 'the log stands still', connack(3), who)
  }
  const principal = await authenticate(context, packet, origin, who)
  if (connection.isClosed) return undefined
  const logout = context.authorizer.login(principal)
  try {
    checkWill(context.router, principal, packet, who)
  } catch (error) {
    logout()
    throw error
  }
  const clientId = scopedClientId(principal, packet.clientId)
  const leave = await context.takeovers.enter(clientId, connection)
  const release = (): void => {
    leave()
    logout()
  }
  if (!connection.isClosed) return { principal, clientId, release }
  release()
  return undefined
}

async function authenticate(
  { authenticator }: LoginContext,
  { username, password }: ConnectPacket,
  { remoteAddress }: Origin,
  who: string,
): Promise<Principal> {
  try {
    return await authenticator.authenticate({ username, password, remoteAddress })
  } catch (error) {
    const { code, message } = toSluiceError(error, 'registry_unavailable')
    throw new Refused(code, message, connack(connackFor(code)), who)
  }
}

/** What is kept of a client that was turned away: nothing it sent but what it called itself. */
export function connectLetter(clock: ReceiveClock, code: ErrorCode, detail: string, who: string): DeadLetter {
  const { ms, ns } = clock.nextStamp(1)
  const at = { ms, ns, firstFailedMs: ms, attempts: 1, source: undefined }
  return { stage: 'connect', code, detail, who, topic: undefined, key: who, payload: new Uint8Array(0), ...at }
}

/** [MQTT 3.1.1, table 3.1]; 3 tells a client to try again later. */
function connackFor(code: ErrorCode): ConnackCode {
  if (code === 'login_failed') return 4
  return code === 'login_required' ? 5 : 3
}

/** A will that could never be published is a mistake that is better told now than when the device is gone. */
function checkWill(router: Router, principal: Principal, { will }: ConnectPacket, who: string): void {
  if (will === undefined) return
  const route = router(principal, will.topic)
  if (route.lane === 'refused') throw new Refused(route.code, `will: ${route.detail}`, connack(5), who)
}

/** Which connection holds which scoped client id. */
export class Takeovers {
  readonly #holders = new Map<string, { readonly connection: Replaceable; readonly gone: Promise<unknown> }>()
  readonly #tally: Tally

  constructor(tally: Tally) {
    this.#tally = tally
  }

  /**
   * Takes the id, closing its holder; resolves when the holder, and all before it, have ended, so that aedes never
   * knows two clients of one id. The result gives the id back.
   */
  async enter(clientId: string, connection: Replaceable): Promise<() => void> {
    const holder = this.#holders.get(clientId)
    const own = { connection, gone: Promise.all([holder?.gone, connection.ended]) }
    this.#holders.set(clientId, own)
    if (holder !== undefined) {
      this.#tally.takeovers += 1
      holder.connection.close(Reason.takenOver)
      await holder.gone
    }
    return () => {
      if (this.#holders.get(clientId) === own) this.#holders.delete(clientId)
    }
  }
}
