import { BROKER_FEATURES } from '../../shared/features.ts'
import type { BrokerNodes } from '../../shared/commands.ts'
import { Releasers } from '../../shared/process/releasers.ts'
import { Connections } from './connection/connections.ts'
import { exposeTally } from './metrics.ts'
import { BROKER_PARTS, openBrokerContext, type BrokerOptions, type BrokerParts } from './connection/broker-context.ts'
import { checkListenerSettings, openListeners, type ListenerAddresses } from './listeners/listeners.ts'
import { connectLetter } from './connection/admit.ts'

export interface BrokerStatus {
  readonly clients: number
  /** QoS 1 and 2 not yet acknowledged. */
  readonly inFlight: number
  /** The caps are reached and the log accepts nothing: new clients are refused. */
  readonly overloaded: boolean
  /** How long the oldest append to the log has been under way, in ms; 0 when there is none. */
  readonly appendingMs: number
  /** Nothing more is accepted, and clients are being disconnected. */
  readonly draining: boolean
}

export interface Broker {
  readonly addresses: ListenerAddresses
  status(): BrokerStatus
  /** For a node that is the only one; nodes of a cluster are asked over Redis. */
  readonly nodes: BrokerNodes
  /** Takes nothing more, waits for the acknowledgements in flight (bounded), closes the connections. */
  close(): Promise<void>
}

/** Restarts of a log and moved leaders are over by then; a node that alone cannot append sends its clients elsewhere. */
const STUCK_AFTER_MS = 10_000

/** For `/readyz`: new clients are welcome, and what they send gets into the log. */
export function readinessOf({ overloaded, draining, appendingMs }: BrokerStatus): { ok: boolean; detail?: string } {
  if (draining) return { ok: false, detail: 'stopping' }
  if (overloaded) return { ok: false, detail: 'broker_overloaded' }
  if (appendingMs <= STUCK_AFTER_MS) return { ok: true }
  return { ok: false, detail: `nothing gets into the log for ${Math.round(appendingMs / 1000)} s` }
}

/** The MQTT broker. Errors: `port_in_use`, `setting_invalid` (an address, a certificate, settings that contradict). */
export async function createBroker(options: BrokerOptions, parts: BrokerParts = BROKER_PARTS): Promise<Broker> {
  const { settings, logger } = options
  checkListenerSettings(settings)
  const releasers = new Releasers((part, error) => logger.error({ err: error, part }, 'closing failed'))
  try {
    return await start(options, parts, releasers)
  } catch (error) {
    // The first error is the one that says why; what closing adds to it is in the log.
    await releasers.close().catch((later: unknown) => logger.debug({ err: later }, 'closing after a failed start'))
    throw error
  }
}

async function start(options: BrokerOptions, parts: BrokerParts, releasers: Releasers): Promise<Broker> {
  const { settings, metrics } = options
  const context = await openBrokerContext(options, parts, releasers)
  const { tally, forwarder, backpressure } = context
  const connections = releasers.own('connections', new Connections(context), (it) => it.close())
  context.observers.push(exposeTally(context, connections, metrics))
  const listeners = await openListeners({
    settings,
    logger: options.logger,
    metrics,
    onConnection: (stream, origin) => connections.accept(stream, origin),
    isGuessing: (address) => context.failedLogins.isLimited(address),
    onRefused: (code, detail, who) => context.refusals.record(connectLetter(context.clock, code, detail, who)),
  })
  releasers.own('listeners', listeners, (it) => it.close())
  context.self.mqtt = listeners.addresses.mqtt
  let draining = false
  const sinceMs = Date.now()
  return {
    addresses: listeners.addresses,
    nodes: {
      send: (command) => context.sessions.sendCommand(command),
      heard: async (sessions) => Promise.resolve(context.presence.heard(sessions)),
      async list() {
        const { size: clients } = connections
        const load = { clients, inFlight: tally.inFlight }
        return [{ id: context.node, address: context.self.mqtt, ...load, sinceMs, features: BROKER_FEATURES }]
      },
    },
    status: () => ({
      clients: connections.size,
      inFlight: tally.inFlight,
      overloaded: backpressure.refusesNewcomers,
      appendingMs: forwarder.appendingSince === undefined ? 0 : performance.now() - forwarder.appendingSince,
      draining,
    }),
    close() {
      draining = true
      return releasers.close()
    },
  }
}
