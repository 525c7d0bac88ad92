import { Counter, Histogram } from 'prom-client'
import type { Metrics } from '../../process/metrics.ts'

const KIB = 1024

/** What only the InfluxDB point store has to tell: its requests. */
export class InfluxMetrics {
  readonly #requests: Counter<'what' | 'status'>
  readonly requestBytes: Histogram

  constructor(metrics: Metrics) {
    const registers = [metrics]
    this.#requests = new Counter({
      name: 'sluice_influx_requests_total',
      help: 'Requests to InfluxDB, by purpose and HTTP status ("none": no response)',
      labelNames: ['what', 'status'],
      registers,
    })
    this.requestBytes = new Histogram({
      name: 'sluice_influx_write_request_bytes',
      help: 'Bytes of line protocol per request',
      buckets: [KIB, 4 * KIB, 16 * KIB, 64 * KIB, 256 * KIB, 1024 * KIB, 4096 * KIB],
      registers,
    })
  }

  answered(what: string, status: number | undefined): void {
    this.#requests.inc({ what, status: status === undefined ? 'none' : String(status) })
  }
}
