import type { Socket } from 'node:net'
import type { BrokerSettings } from '../../config/broker.ts'
import { SluiceError } from '../../shared/errors.ts'
import { Releasers } from '../../shared/lifecycle.ts'
import type { Logger } from '../../shared/logger.ts'
import type { TelemetryLog } from '../../shared/log/port.ts'
import type { Metrics } from '../../shared/metrics.ts'
import type { Registry } from '../../shared/registry/port.ts'
import { deviceKey, parseTelemetryTopic, DEFAULT_STREAM } from '../../shared/topics.ts'
import type { AedesOptions } from 'aedes'
import { SmallPackets } from './acks.ts'
import { createAuthenticator } from './authenticate.ts'
import { createAuthorizer, type Authorizer } from './authorize.ts'
import { Capacity } from './capacity.ts'
import { exposeTally, Tally } from './counters.ts'
import { Forwarder } from './forward.ts'
import { Gate, type GateContext } from './gate.ts'
import { Interest } from './interest.ts'
import { isLoopback, listen } from './listen.ts'
import { Takeovers } from './login.ts'
import type { ReceiveClock } from './receive-clock.ts'
import { createRefusals } from './refusals.ts'
import { createRouter, type Router } from './routes.ts'
import { openSessions } from './sessions.ts'

export interface BrokerOptions {
  readonly log: TelemetryLog
  readonly registry: Registry
  /** One per node: other ways into the log stamp with it too. */
  readonly clock: ReceiveClock
  readonly settings: BrokerSettings
  readonly logger: Logger
  readonly metrics: Metrics
}

export interface BrokerStatus {
  readonly clients: number
  /** QoS 1 and 2 not yet acknowledged. */
  readonly inFlight: number
  /** The caps are reached and the log lets nothing through: newcomers are sent away. */
  readonly overloaded: boolean
  /** Appends to the log fail and are repeated. */
  readonly logFailing: boolean
}

export interface Broker {
  readonly addresses: { readonly mqtt: { readonly host: string; readonly port: number } }
  status(): BrokerStatus
  /** Takes nothing more, waits for the acknowledgements in flight (bounded), closes the connections. */
  close(): Promise<void>
}

/** Parts that another composition of the broker may replace. */
export interface BrokerParts {
  readonly createRouter: (authorizer: Authorizer) => Router
  readonly aedesOverrides?: (forwarder: Forwarder, clock: ReceiveClock) => AedesOptions
}

/** Dead letters per second, and at once: enough to see every mistake, too few to fill a disk. */
const REFUSALS_PER_SECOND = 10
const REFUSALS_AT_ONCE = 100
/** What is in flight gets this long at the end; an append takes milliseconds unless the log is down. */
const DRAIN_MS = 4_000
/** About this share of the connections goes each second of an outage over the caps. */
const SHED_SHARE = 0.01
const SECOND = 1_000

/**
 * The MQTT broker. Errors: `port_in_use`, `setting_invalid` (anonymous clients on a listener that others reach).
 */
export async function createBroker(options: BrokerOptions, parts: BrokerParts = { createRouter }): Promise<Broker> {
  const { settings, logger } = options
  if (settings.MQTT_ANONYMOUS_AS !== undefined && !isLoopback(settings.BIND_ADDRESS)) {
    throw new SluiceError('setting_invalid', 'MQTT_ANONYMOUS_AS: anonymous clients are accepted on loopback only')
  }
  const releasers = new Releasers((name, error) => logger.error({ err: error, name }, 'closing failed'))
  try {
    return await compose(options, parts, releasers)
  } catch (error) {
    await releasers.close().catch(() => undefined)
    throw error
  }
}

async function compose(options: BrokerOptions, parts: BrokerParts, releasers: Releasers): Promise<Broker> {
  const { log, registry, clock, settings, logger, metrics } = options
  const tally = new Tally()
  const interest = new Interest()
  const refusals = releasers.own(
    'refusals',
    createRefusals({ log, logger, metrics, ratePerSecond: REFUSALS_PER_SECOND, burst: REFUSALS_AT_ONCE }),
    (it) => it.close(),
  )
  const authenticator = releasers.own(
    'authenticator',
    createAuthenticator({ registry, anonymousAs: settings.MQTT_ANONYMOUS_AS, logger, metrics }),
    (it) => it.close(),
  )
  const authorizer = releasers.own('authorizer', createAuthorizer({ registry, logger, metrics }), (it) => it.close())

  const gates = new Set<Gate>()
  const forwarder: Forwarder = new Forwarder({
    log,
    logger,
    onFailure: () => (tally.appendFailures += 1),
    onBatch: ({ records, topics, seconds }) => {
      observe(records.length, seconds)
      capacity.release()
      if (interest.isNone) return
      for (const [index, topic] of topics.entries()) {
        const record = records[index]
        if (record === undefined || !interest.matches(topic)) continue
        if (capacity.shedsQos0) tally.copiesNodeFull += 1
        else sessions.copy(topic, record.value)
      }
    },
  })
  releasers.own('forwarder', forwarder, (it) => it.close())
  const limits = { records: settings.MAX_IN_FLIGHT_RECORDS, bytes: settings.MAX_IN_FLIGHT_MB * 1024 * 1024 }
  const capacity = new Capacity(forwarder, limits)
  const observe = exposeTally(
    tally,
    {
      connections: () => gates.size,
      queuedRecords: () => forwarder.records,
      queuedBytes: () => forwarder.bytes,
      heldBytes: () => capacity.heldBytes,
      waiting: () => capacity.waiting,
    },
    metrics,
  )
  const forwardWill = (topic: string, payload: Uint8Array): Promise<boolean> => {
    const telemetry = parseTelemetryTopic(topic)
    if (telemetry === undefined) return Promise.resolve(false)
    const { ms, ns } = clock.nextStamp(payload.byteLength)
    const headers = telemetry.stream === DEFAULT_STREAM ? undefined : { topic }
    return forwarder.append(
      { key: deviceKey(telemetry.tenant, telemetry.device), value: payload, ms, ns, headers },
      topic,
    )
  }
  const overrides = parts.aedesOverrides?.(forwarder, clock)
  const sessions = await openSessions({
    authorizer,
    forwardWill,
    tally,
    logger,
    ...(overrides === undefined ? {} : { overrides }),
  })
  releasers.own('sessions', sessions, (it) => it.close())

  const time = { seconds: 0 }
  const context: GateContext = {
    settings,
    router: parts.createRouter(authorizer),
    authenticator,
    authorizer,
    forwarder,
    capacity,
    clock,
    refusals,
    interest,
    tally,
    output: new SmallPackets(),
    takeovers: new Takeovers(tally),
    sessions,
    logger,
    time,
    onEnded: (gate) => gates.delete(gate),
  }
  releasers.own(
    'revocations',
    authorizer.onRevoked((name) => {
      for (const gate of gates) if (gate.who === name) gate.close()
    }),
    (stop) => stop(),
  )
  releasers.own('connections', gates, async () => {
    for (const gate of gates) gate.stopReading()
    await forwarder.drain(DRAIN_MS)
    for (const gate of gates) gate.close()
    await Promise.all([...gates].map((gate) => gate.ended))
    await forwarder.drain(DRAIN_MS)
  })
  releasers.own('sweep', startSweep(gates, capacity, tally, time), (stop) => stop())

  const server = await listen(settings.BIND_ADDRESS, settings.MQTT_PORT, (socket) => acceptSocket(socket))
  releasers.own('listener', server, (it) => it.close())
  function acceptSocket(socket: Socket): void {
    gates.add(new Gate(socket, context))
  }
  return {
    addresses: { mqtt: server.address },
    status: () => ({
      clients: gates.size,
      inFlight: tally.inFlight,
      overloaded: capacity.refusesNewcomers,
      logFailing: forwarder.failingSince !== undefined,
    }),
    close: () => releasers.close(),
  }
}

/** One timer for all connections: keepalives, time limits, and shedding. */
function startSweep(gates: Set<Gate>, capacity: Capacity, tally: Tally, time: { seconds: number }): () => void {
  let owed = 0
  const timer = setInterval(() => {
    time.seconds += 1
    for (const gate of gates) gate.tick()
    owed = capacity.shedsConnections ? owed + gates.size * SHED_SHARE : 0
    if (owed < 1) return
    const first = Math.floor(Math.random() * gates.size)
    const chosen = [...gates, ...gates].slice(first, first + Math.floor(owed))
    owed -= chosen.length
    tally.connectionsShed += chosen.length
    for (const gate of chosen) gate.close()
  }, SECOND)
  return () => clearInterval(timer)
}
