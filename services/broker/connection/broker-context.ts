import type { BrokerSettings } from '../../../config/broker.ts'
import type { Releasers } from '../../../shared/process/releasers.ts'
import { createFailedLogins, type FailedLogins } from '../../../shared/failed-logins.ts'
import type { Logger } from '../../../shared/process/logger.ts'
import type { TelemetryLog } from '../../../shared/log/port.ts'
import type { Metrics } from '../../../shared/process/metrics.ts'
import type { Registry } from '../../../shared/registry/port.ts'
import { topicOfDevice } from '../../../shared/topics.ts'
import type { LocalSessionStore } from '../../../shared/sessions/port.ts'
import { PacketBuffer } from '../mqtt/packet-buffer.ts'
import { epochsOf, openPresence, type PresenceWriter } from './presence.ts'
import { createAuthenticator, type Authenticator } from '../access/authenticate.ts'
import { createAuthorizer, type Authorizer } from '../access/authorize.ts'
import { LimitReports, noticeOf, type LimitHit } from '../access/limit-reports.ts'
import { NewDevices } from '../access/new-devices.ts'
import { Rates } from '../../../shared/rates.ts'
import { Backpressure } from '../telemetry/backpressure.ts'
import { Cluster, type ClusterOptions } from '../cluster/cluster.ts'
import { Invariants } from '../invariants.ts'
import { Tally } from '../metrics.ts'
import { WorkersLimits } from './workers-limits.ts'
import type { CoarseTime } from './connection-state.ts'
import { Forwarder, type BatchObserver } from '../telemetry/forwarder.ts'
import { exposeGroups, SharedGroups } from '../telemetry/shared-groups.ts'
import { SubscriptionInterest } from '../telemetry/subscription-interest.ts'
import type { LaneContext } from '../telemetry/lane.ts'
import type { LoginContext } from './admit.ts'
import type { ReceiveClock } from '../../../shared/stamps/receive-clock.ts'
import { RepeatMemory } from '../telemetry/repeat-memory.ts'
import type { UnreleasedStore } from '../telemetry/unreleased.ts'
import { createRefusals, tooLargeLetter } from '../telemetry/refusals.ts'
import { createRouter, type Router, type RouteRegistry } from '../../../shared/topic-routes.ts'
import type { AedesHooks } from '../sessions/aedes-internals.ts'
import { openSessions, type Sessions } from '../sessions/sessions.ts'
import { Takeovers } from '../sessions/takeovers.ts'
import { createCopier } from '../sessions/subscriber-copies.ts'
import { createWillForwarder } from '../telemetry/telemetry-wills.ts'

export interface BrokerOptions {
  readonly log: TelemetryLog
  readonly registry: Registry
  /** One per node: other ways into the log stamp with it too. */
  readonly clock: ReceiveClock
  readonly settings: BrokerSettings
  readonly logger: Logger
  readonly metrics: Metrics
  /** Other nodes share sessions, and get what their subscribers want; undefined for the only node. */
  readonly cluster?: ClusterOptions
  /** Shared with other ways into the log, where this process has others. */
  readonly rates?: Rates
  /** Sessions of the only node. */
  readonly sessions?: LocalSessionStore
}

/** Parts that another composition of the broker replaces. */
export interface BrokerParts {
  readonly createRouter: (authorizer: Authorizer, registry: RouteRegistry) => Router
  /** Hooks of aedes in place of ours. */
  readonly aedesHooks: (forwarder: Forwarder, clock: ReceiveClock, ours: AedesHooks) => AedesHooks
  /** What the store of unreleased ids is reached through. */
  readonly throughUnreleased: (store: UnreleasedStore) => UnreleasedStore
}

export const BROKER_PARTS: BrokerParts = {
  createRouter,
  aedesHooks: () => ({}),
  throughUnreleased: (store) => store,
}

/** What all connections of a broker share. */
export interface BrokerContext extends LaneContext, LoginContext {
  readonly rates: Rates
  /** Small packets on their way to a socket. */
  readonly output: PacketBuffer
  readonly invariants: Pick<Invariants, 'broken'>
  readonly presence: PresenceWriter
  /** The number of the session that a connection has just taken; see `PresenceRecord`. */
  readonly epochOf: (clientId: string) => number
  readonly settings: BrokerSettings
  readonly authenticator: Authenticator
  readonly failedLogins: FailedLogins
  readonly authorizer: Authorizer
  readonly sessions: Sessions
  readonly repeats: RepeatMemory
  readonly time: CoarseTime
  readonly logger: Logger
  /** Told after each batch that is durable. */
  readonly observers: BatchObserver[]
  /** What the node says of itself to others; the address once it is known. */
  readonly self: { mqtt: { readonly host: string; readonly port: number } }
}

/** The name of the only node, in the registry. */
const STANDALONE = 'standalone'
/** Dead letters per second, and at once: enough to see every mistake, too few to fill a disk. */
const REFUSALS = { ratePerSecond: 10, burst: 100 }

/** Opens what all connections use; all of it is owned by `releasers`. */
export async function openBrokerContext(
  options: BrokerOptions,
  parts: BrokerParts,
  releasers: Releasers,
): Promise<BrokerContext> {
  const { registry, clock, settings, logger, metrics } = options
  const tally = new Tally()
  const invariants = new Invariants(logger, metrics)
  const self = { mqtt: { host: settings.BIND_ADDRESS, port: settings.MQTT_PORT } }
  const wanted = openWanted(options, tally, self)
  const { cluster, interest, groups } = wanted
  const telemetry = openTelemetry(options, tally, releasers)
  const access = openAccess(options, releasers)
  const { authorizer } = access
  const { forwarder, observers, backpressure } = telemetry
  const hooks = (ours: AedesHooks) => parts.aedesHooks(forwarder, clock, ours)
  const forwardWill = createWillForwarder(forwarder, clock, registry)
  const sessions = await openSessions({
    authorizer,
    forwardWill,
    tally,
    invariants,
    logger,
    cluster,
    hooks,
    registry,
    local: options.sessions,
    groups,
  })
  releasers.own('sessions', sessions, closing)
  const repeats = openRepeats(options, parts.throughUnreleased(sessions.claims), tally, releasers)
  const takeovers = new Takeovers(tally, sessions.claims)
  cluster?.fence.attach(takeovers)
  authorizer.onRevoked((name) => {
    takeovers.forgetWith(name, sessions).catch((error: unknown) => {
      logger.error({ err: error, who: name }, 'cannot remove what is stored for a revoked login')
    })
  })
  observers.push(createCopier({ interest, groups, backpressure, tally, sessions, cluster }))

  const node = cluster?.id ?? STANDALONE
  const rates = releasers.own('rates', options.rates ?? new Rates(settings, metrics), closing)
  const limits = new LimitReports({
    metrics,
    notify: (device, hit) => sessions.tell(`${topicOfDevice(device.tenant, device.device)}/notice`, noticeOf(hit)),
  })
  const takeLimits = (): readonly LimitHit[] => limits.takeChanged()
  const written = { presence: registry.presence, node, takeLimits, logger, metrics }
  const presence = await openPresence(written, cluster, releasers)
  const told = { presence: registry.presence, tell: sessions.tell, logger }
  releasers.own('limits of workers', new WorkersLimits(told), closing)
  const newDevices = releasers.own('new devices', new NewDevices(options), closing)
  const router = parts.createRouter(authorizer, registry)
  const output = new PacketBuffer(() => void invariants.broken('packets_of_one_client'))
  const time = { seconds: 0 }
  const shared = { invariants, node, settings, logger, clock, tally, rates, limits, output, time, self }
  const ofSessions = { sessions, repeats, takeovers, presence, epochOf: epochsOf(cluster) }
  return { ...shared, ...wanted, ...access, ...telemetry, ...ofSessions, router, newDevices }
}

/** What subscribers here want, and the other nodes, which are told of it. */
function openWanted(
  { settings, logger, metrics, ...options }: BrokerOptions,
  tally: Tally,
  self: BrokerContext['self'],
) {
  const groups: SharedGroups = new SharedGroups((entry, isThere) => cluster?.peers.changed(entry, isThere))
  const { MAX_SESSIONS_PER_LOGIN: maxSessions } = settings
  const context = { tally, logger, metrics, self, maxSessions, groups }
  const cluster = options.cluster && new Cluster(options.cluster, context)
  const interest = new SubscriptionInterest((filter, isWanted) => cluster?.peers.changed(filter, isWanted))
  exposeGroups(groups, metrics)
  const mayShare: BrokerContext['mayShare'] = ({ kind }) =>
    kind === 'application' && (cluster === undefined || cluster.doAllRead('shared-subscriptions'))
  return { groups, mayShare, cluster, interest }
}

/** Who may log in, and what each may do. */
function openAccess({ registry, settings, logger, metrics }: BrokerOptions, releasers: Releasers) {
  const failedLogins = createFailedLogins()
  const anonymousAs = settings.MQTT_ANONYMOUS_AS
  const authenticator = createAuthenticator({ registry, failedLogins, anonymousAs, logger, metrics })
  releasers.own('authenticator', authenticator, closing)
  const authorizer = releasers.own('authorizer', createAuthorizer({ registry, logger, metrics }), closing)
  return { failedLogins, authenticator, authorizer }
}

/** The way of telemetry into the log, and of what is refused. */
function openTelemetry({ log, clock, settings, logger, metrics }: BrokerOptions, tally: Tally, releasers: Releasers) {
  const refusals = releasers.own('refusals', createRefusals({ log, logger, metrics, ...REFUSALS }), closing)
  const observers: BatchObserver[] = []
  const onFailure = (): void => void (tally.appendFailures += 1)
  const onTooLarge = (...refused: Parameters<typeof tooLargeLetter>): void =>
    refusals.record(tooLargeLetter(...refused))
  const forwarding = { log, logger, observers, onFailure, onTooLarge }
  const forwarder = releasers.own('forwarder', new Forwarder(forwarding), closing)
  const room = { records: settings.MAX_IN_FLIGHT_RECORDS, bytes: settings.MAX_IN_FLIGHT_MB * 1024 * 1024 }
  const backpressure = new Backpressure(forwarder, room, clock)
  observers.push(() => backpressure.release())
  return { refusals, observers, forwarder, backpressure }
}

/** What persistent sessions know of their telemetry, where these are. */
function openRepeats(
  { logger, settings }: BrokerOptions,
  store: UnreleasedStore,
  tally: Tally,
  releasers: Releasers,
): RepeatMemory {
  const memory = new RepeatMemory({ store, logger, tally, maxInFlight: settings.MAX_IN_FLIGHT_PER_CLIENT })
  return releasers.own('repeats', memory, closing)
}

function closing(part: { close(): void | Promise<void> }): void | Promise<void> {
  return part.close()
}
