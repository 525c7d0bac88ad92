import { Counter, Gauge } from 'prom-client'
import { gaugeOf, type Metrics } from '../../../shared/process/metrics.ts'
import type { Admission } from './admission.ts'
import type { TlsEndpoint } from './tls.ts'

/** What the metrics of the listeners read. */
export interface ListenerState {
  readonly admission: Pick<Admission, 'turnedAway' | 'waiting' | 'open'>
  readonly tls: Pick<TlsEndpoint, 'counts' | 'expiry'> | undefined
  /** Connections accepted for MQTT, by listener. */
  readonly accepted: ReadonlyMap<string, number>
}

/** Makes the metrics of the listeners: plain numbers, read when they are asked for. */
export function exposeListeners({ admission, tls, accepted }: ListenerState, metrics: Metrics): void {
  counter(
    metrics,
    'sluice_broker_connections_accepted_total',
    'Connections accepted for MQTT, by listener',
    'listener',
    () => accepted,
  )
  counter(
    metrics,
    'sluice_broker_connections_turned_away_total',
    'Connections closed before their first MQTT packet, by the limit or check responsible',
    'reason',
    () => admission.turnedAway,
  )
  gaugeOf(metrics, 'sluice_broker_sockets', 'Open sockets, including those in a handshake', () => admission.open)
  gaugeOf(
    metrics,
    'sluice_broker_handshakes_waiting',
    'Connections that wait for a handshake slot',
    () => admission.waiting,
  )
  // Also without TLS, so that a rule on them does not depend on the listeners of a node.
  const counts = tls?.counts ?? { full: 0, resumed: 0, reloads: 0, failedReloads: 0 }
  counter(metrics, 'sluice_broker_tls_handshakes_total', 'TLS handshakes, by kind: full or resumed', 'kind', () => [
    ['full', counts.full],
    ['resumed', counts.resumed],
  ])
  counter(
    metrics,
    'sluice_broker_tls_reloads_total',
    'Reloads of changed TLS files, by result: taken or refused',
    'result',
    () => [
      ['taken', counts.reloads],
      ['refused', counts.failedReloads],
    ],
  )
  new Gauge({
    name: 'sluice_broker_certificate_expiry_seconds',
    help: 'Unix time at which the broker certificate, the first client authority or the revocation list expires',
    labelNames: ['certificate'],
    registers: [metrics],
    collect() {
      this.reset()
      for (const [certificate, ms] of tls?.expiry ?? []) this.set({ certificate }, ms / 1000)
    },
  })
}

function counter(
  metrics: Metrics,
  name: string,
  help: string,
  label: string,
  read: () => Iterable<readonly [string, number]>,
): void {
  new Counter({
    name,
    help,
    labelNames: [label],
    registers: [metrics],
    collect() {
      this.reset()
      for (const [value, count] of read()) this.inc({ [label]: value }, count)
    },
  })
}
