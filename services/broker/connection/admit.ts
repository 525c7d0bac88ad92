import type { BrokerSettings } from '../../../config/broker.ts'
import type { DeadLetter } from '../../../shared/dead-letter.ts'
import { toSluiceError, type ErrorCode } from '../../../shared/errors.ts'
import type { Principal } from '../../../shared/registry/port.ts'
import { describeLogin, type Authenticator } from '../access/authenticate.ts'
import type { Authorizer } from '../access/authorize.ts'
import type { Backpressure } from '../telemetry/backpressure.ts'
import type { ConnectPacket } from '../mqtt/connect.ts'
import type { Tally } from '../metrics.ts'
import type { LimitReports } from '../access/limit-reports.ts'
import type { Origin } from '../listeners/origin.ts'
import { connack, Refused, type ConnackCode } from '../mqtt/packets.ts'
import type { ReceiveClock } from '../../../shared/stamps/receive-clock.ts'
import type { Router } from '../telemetry/routes.ts'
import { scopedClientId } from '../sessions/sessions.ts'
import type { SessionWish } from '../../../shared/sessions/port.ts'
import type { Entered, Replaceable, Takeovers } from '../sessions/takeovers.ts'

export interface LoginContext {
  readonly authenticator: Pick<Authenticator, 'authenticate'>
  readonly authorizer: Pick<Authorizer, 'login'>
  readonly router: Router
  readonly backpressure: Backpressure
  readonly tally: Tally
  readonly takeovers: Pick<Takeovers, 'enter'>
  readonly limits: LimitReports
  readonly settings: BrokerSettings
}

export interface Admitted {
  readonly principal: Principal
  /** Scoped by login. */
  readonly clientId: string
  /** An earlier connection left a session, which goes on. */
  readonly isPresent: boolean
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
  wish: SessionWish,
): Promise<Admitted | undefined> {
  const who = describeLogin({ ...packet, certificateName: origin.certificateName })
  if (context.backpressure.refusesNewcomers) {
    context.tally.newcomersRefused += 1
    throw new Refused('broker_overloaded', 'the log makes no progress', connack(3), who)
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
  const entered = await enter(context, principal, clientId, connection, wish).catch((error: unknown) => {
    logout()
    throw error
  })
  const { isPresent } = entered
  const release = (): void => {
    entered.release()
    logout()
  }
  if (!connection.isClosed) return { principal, clientId, isPresent, release }
  release()
  return undefined
}

/** A session that is shared with other nodes cannot be had while Redis is down: the client comes again later. */
async function enter(
  { takeovers, limits, settings }: LoginContext,
  principal: Principal,
  clientId: string,
  connection: Replaceable,
  wish: SessionWish,
): Promise<Entered> {
  try {
    return await takeovers.enter(clientId, connection, wish)
  } catch (error) {
    const { code, message } = toSluiceError(error)
    if (code === 'session_limit') limits.acted(principal, 'sessions', settings.MAX_SESSIONS_PER_LOGIN)
    throw new Refused(code, message, connack(3), principal.name)
  }
}

async function authenticate(
  { authenticator }: LoginContext,
  { username, password }: ConnectPacket,
  { remoteAddress, certificateName }: Origin,
  who: string,
): Promise<Principal> {
  try {
    return await authenticator.authenticate({ username, password, remoteAddress, certificateName })
  } catch (error) {
    const { code, message } = toSluiceError(error, 'registry_unavailable')
    throw new Refused(code, message, connack(connackFor(code)), who)
  }
}

/** What is kept of a client that was turned away: nothing it sent but what it called itself. */
export function connectLetter(clock: ReceiveClock, code: ErrorCode, detail: string, who: string): DeadLetter {
  const { ms, ns } = clock.read()
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
