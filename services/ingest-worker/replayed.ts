import type { PointStore } from '../../shared/points/port.ts'
import { identityOf, isSameValue, storedValues } from '../../shared/points/stored-values.ts'
import { concatenate, type PointValue } from '../../shared/telemetry.ts'
import { at, keep, nothingOf, type Accepted } from './accepted.ts'
import type { IngestMetrics } from './metrics.ts'
import type { Retry } from './retry.ts'

/**
 * Replayed readings fill gaps, and take nobody's place: what has another value by now is left out. Asked of the store,
 * which this worker alone writes for its devices. What has the same value stays: it was written when the step was done before.
 */
export class Replayed {
  readonly #points: Pick<PointStore, 'query'>
  readonly #retry: Pick<Retry, 'run'>
  readonly #metrics: Pick<IngestMetrics, 'superseded'>

  constructor(options: {
    points: Pick<PointStore, 'query'>
    retry: Pick<Retry, 'run'>
    metrics: Pick<IngestMetrics, 'superseded'>
  }) {
    this.#points = options.points
    this.#retry = options.retry
    this.#metrics = options.metrics
  }

  /** Everything before them is stored. Of two that have one place the first stays. */
  async leaveOut(parts: readonly Accepted[]): Promise<readonly Accepted[]> {
    const batch = concatenate(parts.map(({ points }) => points))
    const stored = await this.#retry.run('points', () => storedValues(this.#points, batch))
    const taken = new Map<string, PointValue>()
    let next = 0
    return parts.map((part) => {
      const { series, values } = part.points
      const kept = nothingOf(part.slice)
      for (let i = 0; i < series.length; i++, next++) {
        const place = identityOf(batch, next)
        const value = at(values, i)
        const before = stored[next] ?? taken.get(place)
        if (before !== undefined && !isSameValue(before, value)) continue
        taken.set(place, value)
        keep(kept, part, i, { series: at(series, i), value })
      }
      this.#metrics.superseded.inc(series.length - kept.record.length)
      return kept
    })
  }
}
