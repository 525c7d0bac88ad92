import type { AedesOptions } from 'aedes'
import type { BrokerSettings } from '../../config/broker.ts'
import type { Releasers } from '../../shared/lifecycle.ts'
import type { Logger } from '../../shared/logger.ts'
import type { TelemetryLog } from '../../shared/log/port.ts'
import type { Metrics } from '../../shared/metrics.ts'
import type { Registry } from '../../shared/registry/port.ts'
import { SmallPackets } from './acks.ts'
import { createAuthenticator, type Authenticator } from './authenticate.ts'
import { createAuthorizer, type Authorizer } from './authorize.ts'
import { Capacity } from './capacity.ts'
import { Tally } from './counters.ts'
import type { CoarseTime } from './deadlines.ts'
import { Forwarder, type BatchObserver } from './forward.ts'
import { Interest } from './interest.ts'
import type { LaneContext } from './lanes.ts'
import { Takeovers, type LoginContext } from './login.ts'
import type { ReceiveClock } from '../../shared/receive-clock.ts'
import { createRefusals } from './refusals.ts'
import { createRouter, type Router } from './routes.ts'
import { SessionEnds } from './session-ends.ts'
import { openSessions, type Sessions } from './sessions.ts'
import { createWillForwarder } from './wills.ts'

export interface BrokerOptions {
  readonly log: TelemetryLog
  readonly registry: Registry
  /** One per node: other ways into the log stamp with it too. */
  readonly clock: ReceiveClock
  readonly settings: BrokerSettings
  readonly logger: Logger
  readonly metrics: Metrics
}

/** Parts that another composition of the broker replaces. */
export interface BrokerParts {
  readonly createRouter: (authorizer: Authorizer) => Router
  /** Hooks of aedes in place of ours. */
  readonly aedesHooks: (forwarder: Forwarder, clock: ReceiveClock) => AedesOptions
}

export const BROKER_PARTS: BrokerParts = { createRouter, aedesHooks: () => ({}) }

/** What all gates of a broker share. */
export interface GateContext extends LaneContext, LoginContext {
  readonly settings: BrokerSettings
  readonly authenticator: Authenticator
  readonly authorizer: Authorizer
  readonly sessions: Sessions
  readonly sessionEnds: SessionEnds
  readonly time: CoarseTime
  readonly logger: Logger
  /** Told after each batch that is durable. */
  readonly observers: BatchObserver[]
}

/** Dead letters per second, and at once: enough to see every mistake, too few to fill a disk. */
const REFUSALS = { ratePerSecond: 10, burst: 100 }

/** Opens what the gates stand on; all of it is owned by `releasers`. */
export async function openGateContext(
  options: BrokerOptions,
  parts: BrokerParts,
  releasers: Releasers,
): Promise<GateContext> {
  const { log, registry, clock, settings, logger, metrics } = options
  const closing = (part: { close(): void | Promise<void> }): void | Promise<void> => part.close()
  const anonymousAs = settings.MQTT_ANONYMOUS_AS
  const tally = new Tally()
  const interest = new Interest()
  const refusals = releasers.own('refusals', createRefusals({ log, logger, metrics, ...REFUSALS }), closing)
  const authenticator = createAuthenticator({ registry, anonymousAs, logger, metrics })
  releasers.own('authenticator', authenticator, closing)
  const authorizer = releasers.own('authorizer', createAuthorizer({ registry, logger, metrics }), closing)

  const observers: BatchObserver[] = []
  const onFailure = (): void => void (tally.appendFailures += 1)
  const forwarder = releasers.own('forwarder', new Forwarder({ log, logger, observers, onFailure }), closing)
  const limits = { records: settings.MAX_IN_FLIGHT_RECORDS, bytes: settings.MAX_IN_FLIGHT_MB * 1024 * 1024 }
  const capacity = new Capacity(forwarder, limits)
  observers.push(() => capacity.release())

  const hooks = parts.aedesHooks(forwarder, clock)
  const forwardWill = createWillForwarder(forwarder, clock)
  const sessions = await openSessions({ authorizer, forwardWill, tally, logger, hooks })
  releasers.own('sessions', sessions, closing)
  const sessionEnds = releasers.own('session ends', new SessionEnds((id) => sessions.discard(id), logger), closing)
  observers.push(({ records, topics }) => {
    if (interest.isNone) return
    for (const [index, record] of records.entries()) {
      const topic = topics[index] ?? ''
      if (!interest.matches(topic)) continue
      if (capacity.shedsQos0) tally.copiesNodeFull += 1
      else sessions.copy(topic, record.value)
    }
  })

  const takeovers = new Takeovers(tally)
  const router = parts.createRouter(authorizer)
  const output = new SmallPackets()
  const time = { seconds: 0 }
  const shared = { settings, logger, clock, tally, interest, refusals, output, time, observers }
  return { ...shared, authenticator, authorizer, forwarder, capacity, sessions, sessionEnds, takeovers, router }
}
