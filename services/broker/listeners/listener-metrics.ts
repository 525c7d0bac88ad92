import { Counter, Gauge } from 'prom-client'
import type { Metrics } from '../../../shared/process/metrics.ts'
import type { Admission } from './admission.ts'
import type { TlsEndpoint } from './tls.ts'

/** What the metrics of the listeners read. */
export interface ListenerState {
  readonly admission: Pick<Admission, 'turnedAway' | 'waiting' | 'open'>
  readonly tls: Pick<TlsEndpoint, 'counts' | 'expiry'> | undefined
  /** Connections that came to MQTT, by listener. */
  readonly accepted: ReadonlyMap<string, number>
}

/** Makes the metrics of the listeners: plain numbers, read when they are asked for. */
export function exposeListeners({ admission, tls, accepted }: ListenerState, metrics: Metrics): void {
  counter(
    metrics,
    'sluice_broker_connections_accepted_total',
    'Connections that came to MQTT',
    'listener',
    () => accepted,
  )
  counter(
    metrics,
    'sluice_broker_connections_turned_away_total',
    'Connections closed before they spoke MQTT, by the limit or check that did it',
    'reason',
    () => admission.turnedAway,
  )
  gauge(metrics, 'sluice_broker_sockets', 'Open sockets, handshakes included', () => admission.open)
  gauge(metrics, 'sluice_broker_handshakes_waiting', 'Connections that wait for their turn', () => admission.waiting)
  if (tls === undefined) return
  const { counts } = tls
  counter(metrics, 'sluice_broker_tls_handshakes_total', 'TLS handshakes, full or resumed', 'kind', () => [
    ['full', counts.full],
    ['resumed', counts.resumed],
  ])
  counter(
    metrics,
    'sluice_broker_tls_reloads_total',
    'Replaced TLS files that were taken, or refused',
    'result',
    () => [
      ['taken', counts.reloads],
      ['refused', counts.failedReloads],
    ],
  )
  new Gauge({
    name: 'sluice_broker_certificate_expiry_seconds',
    help: 'When the certificate of the broker, the first of the client authorities or the revocation list ends, Unix time',
    labelNames: ['certificate'],
    registers: [metrics],
    collect() {
      this.reset()
      for (const [certificate, ms] of tls.expiry) this.set({ certificate }, ms / 1000)
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

function gauge(metrics: Metrics, name: string, help: string, read: () => number): void {
  new Gauge({
    name,
    help,
    registers: [metrics],
    collect() {
      this.set(read())
    },
  })
}
