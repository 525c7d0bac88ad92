import { Counter, Gauge, Histogram } from 'prom-client'
import { LATENCY_BUCKETS, type Metrics } from '../../process/metrics.ts'
import type { StoreState } from './messages.ts'

/** What only the embedded point store has to tell: points that are not sealed, and the sealing of chunks. */
export class SealMetrics {
  readonly rawPoints: Gauge
  readonly damaged: Counter
  readonly #bytes: Gauge
  readonly #chunks: Counter
  readonly #overwritten: Counter
  readonly #sealSeconds: Histogram

  constructor(metrics: Metrics) {
    const registers = [metrics]
    this.rawPoints = new Gauge({
      name: 'sluice_points_raw_points',
      help: 'Points held in memory until they are sealed into a chunk',
      registers,
    })
    this.damaged = new Counter({
      name: 'sluice_points_damaged_total',
      help: 'Files of the point store found damaged',
      registers,
    })
    this.#bytes = new Gauge({ name: 'sluice_points_disk_bytes', help: 'Size of all point files', registers })
    this.#chunks = new Counter({
      name: 'sluice_points_chunks_sealed_total',
      help: 'Chunks sealed and written',
      registers,
    })
    this.#overwritten = new Counter({
      name: 'sluice_points_overwritten_total',
      help: 'Sealed points that got another value, as found when that was sealed',
      registers,
    })
    this.#sealSeconds = new Histogram({
      name: 'sluice_points_seal_seconds',
      help: 'Working time to seal a chunk, without the pauses between its steps',
      buckets: LATENCY_BUCKETS,
      registers,
    })
  }

  observe({ rawPoints, bytesOnDisk, sealed, sealSeconds }: StoreState): void {
    this.rawPoints.set(rawPoints)
    this.#bytes.set(bytesOnDisk)
    this.#chunks.inc(sealed.chunks)
    this.#overwritten.inc(sealed.overwritten)
    for (const seconds of sealSeconds) this.#sealSeconds.observe(seconds)
  }
}
