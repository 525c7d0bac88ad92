import { Damage } from './damage.ts'
import { END_OF_TIME, isBefore, type Span } from './time.ts'

/** Points that were lost before they were sealed: of a series, 0 for any; both ends inclusive, in ms since 1970. */
export interface HotGap {
  readonly series: number
  readonly fromMs: number
  readonly toMs: number
}

/** What is known of the points that a damaged hot database lost. Few, or none. */
export class HotGaps {
  readonly file: string
  readonly #bySeries = new Map<number, HotGap[]>()

  constructor(file: string, gaps: readonly HotGap[]) {
    this.file = file
    for (const gap of gaps) this.#bySeries.set(gap.series, [...(this.#bySeries.get(gap.series) ?? []), gap])
  }

  /** Throws {@link Damage} when points of a series within a span were lost. */
  check(series: number, span: Span): void {
    if (this.#bySeries.size === 0) return
    for (const gap of [...(this.#bySeries.get(series) ?? []), ...(this.#bySeries.get(0) ?? [])]) {
      const [from, to] = [
        { ms: gap.fromMs, ns: 0 },
        { ms: gap.toMs + 1, ns: 0 },
      ]
      const isAfter = !isBefore(from.ms, from.ns, span.to.ms, span.to.ns)
      if (isAfter || !isBefore(span.from.ms, span.from.ns, to.ms, to.ns)) continue
      throw new Damage(this.file, 'points were lost before they were sealed', { series, span: { from, to } })
    }
  }
}

/** True when a delete of a span covers all that a gap may have held. */
export function isForgotten({ fromMs, toMs }: HotGap, { from, to }: Span): boolean {
  return from.ms <= fromMs && from.ns === 0 && (to.ms > toMs || to === END_OF_TIME)
}
