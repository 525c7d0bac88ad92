import type { Registry } from '../../shared/registry/port.ts'
import type { TombstoneView } from '../../shared/registry/tombstones-port.ts'
import { keep, nothingOf, type Accepted } from './accepted.ts'
import type { IngestMetrics } from './metrics.ts'
import type { Retry } from './retry.ts'

/**
 * Leaves out what was deleted. What is known of tombstones is asked for each write, right before it: whoever deletes waits
 * until each write begins with what it has put, and until those that began before are committed.
 */
export class DeletedReadings {
  readonly #registry: Pick<Registry, 'tombstones'>
  readonly #retry: Pick<Retry, 'run'>
  readonly #metrics: Pick<IngestMetrics, 'deleted'>

  constructor(options: {
    registry: Pick<Registry, 'tombstones'>
    retry: Pick<Retry, 'run'>
    metrics: Pick<IngestMetrics, 'deleted'>
  }) {
    this.#registry = options.registry
    this.#retry = options.retry
    this.#metrics = options.metrics
  }

  view(): Promise<TombstoneView> {
    return this.#retry.run('registry', () => this.#registry.tombstones.current())
  }

  /** The same object where nothing of it was deleted. */
  leaveOut(part: Accepted, view: TombstoneView): Accepted {
    if (view.isEmpty) return part
    const { points, record, slice } = part
    const { series, ms, ns, values } = points
    const isGone = (i: number): boolean => {
      const one = series[i]
      if (one === undefined) return false
      const receivedMs = slice.records[record[i] ?? 0]?.ms ?? 0
      return view.covers(one, { ms: ms[i] ?? 0, ns: ns[i] ?? 0 }, receivedMs)
    }
    if (!series.some((one, i) => view.of(one.tenant, one.device).length > 0 && isGone(i))) return part
    const kept = nothingOf(slice)
    for (const [i, one] of series.entries()) {
      const value = values[i]
      if (value !== undefined && !isGone(i)) keep(kept, part, i, { series: one, value })
    }
    this.#metrics.deleted.inc(record.length - kept.record.length)
    return kept
  }
}
