import type { SameTime } from '../../shared/policies/settings.ts'
import { MAX_AHEAD_MS } from '../../shared/latest-state.ts'
import { kindOf, type PointBatch } from '../../shared/telemetry.ts'
import { at, partOf } from './accepted.ts'
import type { KeptValues, Sent } from './kept-values.ts'
import type { LatestStates } from './latest-states.ts'
import type { IngestMetrics } from './metrics.ts'
import { runsByRecord, type Run } from './runs.ts'
import { isOfReplays, type Slice } from './slice.ts'
import { markOf } from './value-mark.ts'

/**
 * Gives values that have the time of another one the next free nanosecond, where the policy `same_time` says so: see
 * {@link KeptValues} for what is decided, and from what.
 */
export class SameTimes {
  readonly #latest: Pick<LatestStates, 'keptOf'>
  readonly #metrics: Pick<IngestMetrics, 'keptValues'>
  /** Those whose points have their times. */
  readonly #placed = new WeakSet<Slice>()

  constructor(options: { latest: Pick<LatestStates, 'keptOf'>; metrics: Pick<IngestMetrics, 'keptValues'> }) {
    this.#latest = options.latest
    this.#metrics = options.metrics
  }

  /**
   * To be called in the order of the log, before the points are written; called again with the same slices it changes
   * nothing. Slices whose partition is taken away meanwhile are left as they are. Gives how many values were moved.
   */
  async place(slices: readonly Slice[]): Promise<number> {
    const due = slices.filter((slice) => !this.#placed.has(slice) && hasAny(slice, 0, slice.decoded.record.length))
    if (due.length === 0) return 0
    const runs = due.flatMap((slice) => {
      return runsByRecord(partOf(slice)).filter(({ from, to }) => hasAny(slice, from, to))
    })
    const kept = await this.#latest.keptOf(runs)
    let moved = 0
    for (const run of runs) {
      const values = kept.get(run.key)
      if (values !== undefined && !run.part.slice.progress.revoked) moved += placeRun(run, values)
    }
    for (const slice of due) this.#placed.add(slice)
    this.#metrics.keptValues.inc(moved)
    return moved
  }
}

/**
 * Whether the policy is about any of the points; without one of its own this costs a look at each. It is not about what was
 * replayed, which fills gaps where it was sent for: see replayed.ts.
 */
function hasAny(slice: Slice, from: number, to: number): boolean {
  if (isOfReplays(slice)) return false
  const { decoded, records } = slice
  const { points, record, sameTimes } = decoded
  for (let i = from; i < to; i++) {
    // Numbers, which are most of all, are not looked at any closer where no policy was set.
    if (sameTimes === undefined && typeof points.values[i] === 'number') continue
    const index = record[i] ?? 0
    if (isMeant(sameTimes?.get(index), points, i, records[index]?.ms ?? 0)) return true
  }
  return false
}

/** A time that is further ahead than one that may become the latest would be the newest of its field for long. */
function isMeant(rule: SameTime | undefined, { values, ms, ns }: PointBatch, i: number, receivedMs: number): boolean {
  if (rule === 'last' || (ms[i] ?? 0) > receivedMs + MAX_AHEAD_MS) return false
  if (rule === 'keep') return true
  const isState = typeof values[i] === 'string' || typeof values[i] === 'boolean'
  return isState && ns[i] === 0 && (ms[i] ?? 0) % 1000 === 0
}

/** The points of one record. */
function placeRun({ part, index, from, to }: Run, kept: KeptValues): number {
  const { slice, points } = part
  const record = at(slice.records, index)
  const rule = slice.decoded.sameTimes?.get(index)
  const isDup = record.headers?.['dup'] === '1'
  const sent: Sent[] = []
  for (let i = from; i < to; i++) {
    if (!isMeant(rule, points, i, record.ms)) continue
    const { field, type } = at(points.series, i)
    const [ms, ns] = [at(points.ms, i), at(points.ns, i)]
    sent.push({ point: i - from, field: `${kindOf(type)} ${field}`, ms, ns, mark: markOf(at(points.values, i)), isDup })
  }
  let moved = 0
  for (const [i, later] of kept.decide(slice.progress, slice.firstOffset + index, sent).entries()) {
    if (later === 0) continue
    const { point, ms, ns } = at(sent, i)
    const within = ns + later
    points.ms[from + point] = ms + Math.floor(within / 1_000_000)
    points.ns[from + point] = within % 1_000_000
    moved += 1
  }
  return moved
}
