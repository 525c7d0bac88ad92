import type { LocalReading } from '../../shared/decoders/decoded.ts'
import { at } from './accepted.ts'
import type { LatestStates } from './latest-states.ts'
import { runsByRecord, type Run } from './runs.ts'
import { isOfReplays, type Slice } from './slice.ts'

/**
 * Puts readings whose local time is one of the hour that comes twice into the other of the two, where the messages of their
 * stream before them say so: see {@link LocalHours}.
 */
export class LocalTimes {
  readonly #latest: Pick<LatestStates, 'keptOf'>
  /** Those whose points have their times. */
  readonly #placed = new WeakSet<Slice>()

  constructor({ latest }: { latest: Pick<LatestStates, 'keptOf'> }) {
    this.#latest = latest
  }

  /**
   * To be called in the order of the log, before anything else looks at the times of the points; called again with the same slices
   * it changes nothing. Slices whose partition is taken away meanwhile are left as they are.
   */
  async place(slices: readonly Slice[]): Promise<void> {
    const due = slices.filter((slice) => slice.decoded.locals !== undefined && !this.#placed.has(slice))
    if (due.length === 0) return
    const runs = due.flatMap((slice) => {
      const { points, record, element, locals = [] } = slice.decoded
      const records = new Set(locals.map((local) => local.record))
      return runsByRecord({ slice, points, record, element }).filter(({ index }) => records.has(index))
    })
    const kept = await this.#latest.keptOf(runs)
    for (const run of runs) {
      const { slice } = run.part
      const hours = kept.get(run.key)?.hours
      if (hours === undefined || slice.progress.revoked || isOfReplays(slice)) continue
      const locals = (slice.decoded.locals ?? []).filter(({ record }) => record === run.index)
      const { ms, headers } = at(slice.records, run.index)
      const received = { ms, isDup: headers?.['dup'] === '1' }
      const turned = hours.decide(slice.progress, slice.firstOffset + run.index, locals, received)
      turn(
        run,
        locals.filter((_, i) => turned[i] === true),
      )
    }
    for (const slice of due) this.#placed.add(slice)
  }
}

/** Gives the points of these readings the other time. */
function turn({ part, from, to }: Run, turned: readonly LocalReading[]): void {
  if (turned.length === 0) return
  const { points, element } = part
  for (let i = from; i < to; i++) {
    const local = turned.find((one) => one.element === element[i] && one.ms === points.ms[i])
    if (local !== undefined) points.ms[i] = local.other
  }
}
