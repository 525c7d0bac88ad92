import type { BrokerSettings } from '../../../config/broker.ts'
import type { DeadLetter } from '../../../shared/dead-letter.ts'
import { toSluiceError, type ErrorCode } from '../../../shared/errors.ts'
import type { Principal } from '../../../shared/registry/port.ts'
import { describeLogin, type Authenticator } from '../access/authenticate.ts'
import type { Authorizer } from '../access/authorize.ts'
import type { Backpressure } from '../telemetry/backpressure.ts'
import type { ConnectPacket } from '../mqtt/connect.ts'
import type { Tally } from '../metrics.ts'
import type { NewDevices } from '../access/new-devices.ts'
import type { LimitReports } from '../access/limit-reports.ts'
import type { Origin } from '../listeners/origin.ts'
import { connack, Refused, type ConnackCode } from '../mqtt/packets.ts'
import type { ReceiveClock } from '../../../shared/stamps/receive-clock.ts'
import type { RefusedRoute, Router } from '../../../shared/topic-routes.ts'
import { scopedClientId } from '../sessions/sessions.ts'
import type { SessionWish } from '../../../shared/sessions/port.ts'
import type { Entered, Replaceable, Takeovers } from '../sessions/takeovers.ts'

export interface LoginContext {
  readonly authenticator: Pick<Authenticator, 'authenticate'>
  readonly authorizer: Pick<Authorizer, 'login' | 'explain'>
  readonly router: Router
  readonly newDevices: NewDevices
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
  /** Why its will is left out. */
  readonly refusedWill: RefusedRoute | undefined
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
  const refusedWill = refusalOf(context, principal, packet)
  if (refusedWill !== undefined && mustClose(context, principal, refusedWill)) {
    logout()
    throw new Refused(refusedWill.code, `will: ${refusedWill.detail}`, connack(5), who)
  }
  const clientId = scopedClientId(principal, packet.clientId)
  const entered = await enter(context, principal, clientId, connection, wish).catch((error: unknown) => {
    logout()
    throw error
  })
  const { isPresent, hasMadeRoom } = entered
  if (hasMadeRoom) context.limits.acted(principal, 'sessions', context.settings.MAX_SESSIONS_PER_LOGIN)
  const release = (): void => {
    entered.release()
    logout()
  }
  if (!connection.isClosed) return { principal, clientId, isPresent, refusedWill, release }
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

/** Undefined when the client has no will, or one that may be published as the rules are now. */
function refusalOf(
  { router, newDevices }: LoginContext,
  principal: Principal,
  { will }: ConnectPacket,
): RefusedRoute | undefined {
  const route = will && router(principal, will.topic)
  if (route?.lane === 'telemetry' && principal.kind === 'application' && !newDevices.isKnown(route.topic)) {
    return { lane: 'refused', topic: route.topic, code: 'device_unknown', detail: 'there is no such device' }
  }
  return route?.lane === 'refused' ? route : undefined
}

/**
 * Many devices have a will on a topic that their makers chose, and cannot connect without it. Where a rule denies the
 * topic, somebody has decided about it.
 */
function mustClose(
  { settings, authorizer }: LoginContext,
  principal: Principal,
  { code, topic }: RefusedRoute,
): boolean {
  if (settings.REFUSED_WILL === 'close') return true
  return code === 'not_authorised' && authorizer.explain(principal, 'publish', topic).rule?.effect === 'deny'
}

/** What is kept of a will that was left out; its payload has no place anywhere. */
export function willLetter(clock: ReceiveClock, { code, detail, topic }: RefusedRoute, who: string): DeadLetter {
  return { ...connectLetter(clock, code, `will left out: ${detail}`, who), topic }
}
