import { SluiceError } from '../../shared/errors.ts'
import { Releasers } from '../../shared/lifecycle.ts'
import { Connections } from './connections.ts'
import { exposeTally } from './counters.ts'
import { BROKER_PARTS, openGateContext, type BrokerOptions, type BrokerParts } from './gate-context.ts'
import { isLoopback, listen } from './listen.ts'

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

/** The MQTT broker. Errors: `port_in_use`, `setting_invalid` (anonymous clients on a listener that others reach). */
export async function createBroker(options: BrokerOptions, parts: BrokerParts = BROKER_PARTS): Promise<Broker> {
  const { settings, logger } = options
  if (settings.MQTT_ANONYMOUS_AS !== undefined && !isLoopback(settings.BIND_ADDRESS)) {
    throw new SluiceError('setting_invalid', 'MQTT_ANONYMOUS_AS: anonymous clients are accepted on loopback only')
  }
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
  const context = await openGateContext(options, parts, releasers)
  const { tally, forwarder, capacity } = context
  const connections = releasers.own('connections', new Connections(context), (it) => it.close())
  context.observers.push(exposeTally(context, connections, metrics))
  const { address } = releasers.own(
    'listener',
    await listen(settings.BIND_ADDRESS, settings.MQTT_PORT, (socket) =>
      connections.accept(socket, { listener: 'tcp', remoteAddress: socket.remoteAddress ?? '' }),
    ),
    (it) => it.close(),
  )
  return {
    addresses: { mqtt: address },
    status: () => ({
      clients: connections.size,
      inFlight: tally.inFlight,
      overloaded: capacity.refusesNewcomers,
      logFailing: forwarder.failingSince !== undefined,
    }),
    close: () => releasers.close(),
  }
}
