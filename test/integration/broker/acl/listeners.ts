import type { BrokerParts } from '../../../../services/broker/connection/broker-context.ts'
import { startBroker } from '../../../broker-harness.ts'
import { useAuthority } from '../../../certificates.ts'
import { type Way, wayTo } from '../../../mqtt/way.ts'
import type { Place } from './stage.ts'

const authority = useAuthority()

/** A broker that listens on TCP, TLS, WebSocket and WebSocket over TLS, and how to reach it on each. */
export async function everyListener(parts?: BrokerParts): Promise<Place & { readonly ways: readonly Way[] }> {
  const { ca, settings } = authority()
  const harness = await startBroker({ REFUSED_WILL: 'close', ...settings, MQTT_WS_PORT: 0, MQTT_WSS_PORT: 0 }, parts)
  const ways = [
    wayTo(harness, 'tcp'),
    wayTo(harness, 'tls', { ca }),
    wayTo(harness, 'ws'),
    wayTo(harness, 'wss', { ca }),
  ]
  return { registry: harness.registry, log: harness.log, ways }
}
