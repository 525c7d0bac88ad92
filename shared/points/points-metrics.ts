import { Counter, Gauge, Histogram } from 'prom-client'
import { LATENCY_BUCKETS, SIZE_BUCKETS, type Metrics } from '../process/metrics.ts'

/** The figures of a point store, whichever it is. */
export class PointsMetrics {
  readonly written: Counter
  readonly rejected: Counter<'code'>
  readonly batchPoints: Histogram
  readonly writeSeconds: Histogram
  readonly querySeconds: Histogram
  readonly waiting: Gauge
  readonly failures: Counter<'code'>

  constructor(metrics: Metrics) {
    const registers = [metrics]
    const seconds = { buckets: LATENCY_BUCKETS, registers }
    this.written = new Counter({ name: 'sluice_points_written_total', help: 'Points stored', registers })
    this.rejected = new Counter({
      name: 'sluice_points_rejected_total',
      help: 'Points rejected by the store, by error code',
      labelNames: ['code'],
      registers,
    })
    this.batchPoints = new Histogram({
      name: 'sluice_points_batch_points',
      help: 'Points per written batch',
      buckets: SIZE_BUCKETS,
      registers,
    })
    this.writeSeconds = new Histogram({
      name: 'sluice_points_write_seconds',
      help: 'Time from the call of a write until its points are visible',
      ...seconds,
    })
    this.querySeconds = new Histogram({
      name: 'sluice_points_query_seconds',
      help: 'Time from the call of a query until its page of results',
      ...seconds,
    })
    this.waiting = new Gauge({
      name: 'sluice_points_in_flight_points',
      help: 'Points handed to the store and not yet confirmed; beyond a bound, calls wait',
      registers,
    })
    this.failures = new Counter({
      name: 'sluice_points_failures_total',
      help: 'Failed requests and background jobs of the store, by error code',
      labelNames: ['code'],
      registers,
    })
  }
}
