import { Counter, Gauge, Histogram } from 'prom-client'
import { LATENCY_BUCKETS, SIZE_BUCKETS, type Metrics } from '../../metrics.ts'
import type { StoreState } from './messages.ts'

/** The figures of the embedded point store. */
export class PointsMetrics {
  readonly written: Counter
  readonly rejected: Counter<'code'>
  readonly batchPoints: Histogram
  readonly writeSeconds: Histogram
  readonly querySeconds: Histogram
  readonly waiting: Gauge
  readonly failures: Counter<'code'>
  readonly rawPoints: Gauge
  readonly #bytes: Gauge
  readonly #chunks: Counter
  readonly #sealSeconds: Histogram

  constructor(metrics: Metrics) {
    const registers = [metrics]
    const seconds = { buckets: LATENCY_BUCKETS, registers }
    this.written = new Counter({ name: 'sluice_points_written_total', help: 'Points stored.', registers })
    this.rejected = new Counter({
      name: 'sluice_points_rejected_total',
      help: 'Points that the store refused for what they are, by code.',
      labelNames: ['code'],
      registers,
    })
    this.batchPoints = new Histogram({
      name: 'sluice_points_batch_points',
      help: 'Points in a written batch.',
      buckets: SIZE_BUCKETS,
      registers,
    })
    this.writeSeconds = new Histogram({
      name: 'sluice_points_write_seconds',
      help: 'From the call of a write until its points are visible.',
      ...seconds,
    })
    this.querySeconds = new Histogram({
      name: 'sluice_points_query_seconds',
      help: 'From the call of a query until its page.',
      ...seconds,
    })
    this.waiting = new Gauge({
      name: 'sluice_points_in_flight_points',
      help: 'Points given to the store and not answered yet; calls wait beyond a bound.',
      registers,
    })
    this.failures = new Counter({
      name: 'sluice_points_failures_total',
      help: 'Requests and sealings that failed, by code.',
      labelNames: ['code'],
      registers,
    })
    this.rawPoints = new Gauge({
      name: 'sluice_points_raw_points',
      help: 'Points held in memory until sealed.',
      registers,
    })
    this.#bytes = new Gauge({ name: 'sluice_points_disk_bytes', help: 'Size of all files of points.', registers })
    this.#chunks = new Counter({ name: 'sluice_points_chunks_sealed_total', help: 'Chunks written.', registers })
    this.#sealSeconds = new Histogram({
      name: 'sluice_points_seal_seconds',
      help: 'Working time of one sealing, without the pauses between its steps.',
      ...seconds,
    })
  }

  observe({ rawPoints, bytesOnDisk, chunksSealed, sealSeconds }: StoreState): void {
    this.rawPoints.set(rawPoints)
    this.#bytes.set(bytesOnDisk)
    this.#chunks.inc(chunksSealed)
    for (const seconds of sealSeconds) this.#sealSeconds.observe(seconds)
  }
}
