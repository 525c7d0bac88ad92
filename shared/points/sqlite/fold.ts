import type { Instant, PointValue } from '../../telemetry.ts'
import { isNumeric } from '../aggregate.ts'
import type { Aggregate, SeriesType } from '../port.ts'
import type { Chunk } from './chunk-row.ts'
import type { Run } from './columns.ts'
import { ExactSum } from '../exact-sum.ts'
import type { Piece } from './pieces.ts'
import type { Summary } from './summary.ts'

/** One window of an aggregate. */
export interface WindowPoint {
  readonly time: Instant
  /** Of a whole range whose value is that of a point in a chunk that was not opened: the chunk's last point's time. */
  readonly upTo: Instant | undefined
  readonly value: PointValue
}

/**
 * Folds the pieces of a series into windows, in time order. Sums and means are exact before their one rounding, so it
 * makes no difference which chunks were opened and which only told their summary.
 */
export function* windows(
  pieces: Iterable<Piece>,
  type: SeriesType,
  aggregate: Aggregate,
  intervalMs: number | undefined,
): Generator<WindowPoint> {
  const windowOf = (ms: number): number => (intervalMs === undefined ? 0 : Math.floor(ms / intervalMs))
  let fold: Fold | undefined
  for (const piece of pieces) {
    if (piece.kind === 'chunk') {
      const { file, chunk } = piece
      const window = windowOf(chunk.start.ms)
      const summary = window === windowOf(chunk.end.ms) ? file.summaryOf(chunk, piece.type) : undefined
      if (summary !== undefined) {
        if (fold?.window !== window) {
          if (fold !== undefined) yield fold.point(aggregate, intervalMs)
          fold = new Fold(window, chunk.start)
        }
        fold.addSummary(summary, chunk)
        continue
      }
    }
    const run = piece.kind === 'run' ? piece.run : piece.file.read(piece.chunk, piece.type)
    for (let start = 0; start < run.ms.length;) {
      const window = windowOf(run.ms[start] ?? 0)
      let end = start + 1
      while (end < run.ms.length && windowOf(run.ms[end] ?? 0) === window) end++
      if (fold?.window !== window) {
        if (fold !== undefined) yield fold.point(aggregate, intervalMs)
        fold = new Fold(window, { ms: run.ms[start] ?? 0, ns: run.ns[start] ?? 0 })
      }
      fold.addRun(run, start, end, aggregate, type)
      start = end
    }
  }
  if (fold !== undefined) yield fold.point(aggregate, intervalMs)
}

/** Of a point: its time, or the times of the first and the last of the chunk in which it lies. */
interface Place {
  readonly from: Instant
  readonly upTo: Instant | undefined
}

function placeOf(run: Run, index: number): Place {
  return { from: { ms: run.ms[index] ?? 0, ns: run.ns[index] ?? 0 }, upTo: undefined }
}

class Fold {
  readonly window: number
  readonly #start: Instant
  readonly #sum = new ExactSum()
  #count = 0
  #min: number | bigint | undefined
  #max: number | bigint | undefined
  #first: PointValue | undefined
  #last: PointValue | undefined
  /** Where the last, the least and the largest lie; the first lies at the start. */
  #lastAt: Place
  #minAt: Place
  #maxAt: Place

  constructor(window: number, start: Instant) {
    this.window = window
    this.#start = start
    this.#lastAt = this.#minAt = this.#maxAt = { from: start, upTo: undefined }
  }

  addSummary({ first, last, numeric }: Summary, { start, end, count }: Chunk): void {
    this.#count += count
    this.#first ??= first
    this.#last = last
    this.#lastAt = { from: end, upTo: undefined }
    if (numeric === undefined) return
    if (this.#min === undefined || numeric.min < this.#min) {
      this.#min = numeric.min
      this.#minAt = { from: start, upTo: end }
    }
    if (this.#max === undefined || numeric.max > this.#max) {
      this.#max = numeric.max
      this.#maxAt = { from: start, upTo: end }
    }
    this.#sum.addParts(numeric.sum)
  }

  addRun(run: Run, start: number, end: number, aggregate: Aggregate, type: SeriesType): void {
    const { values } = run
    this.#count += end - start
    this.#first ??= values[start]
    this.#last = values[end - 1]
    if (aggregate === 'last') this.#lastAt = placeOf(run, end - 1)
    if (!isNumeric(type) || aggregate === 'count' || aggregate === 'first' || aggregate === 'last') return
    // The type of the series says that these are numbers.
    const numbers = values as (number | bigint)[]
    for (let i = start; i < end; i++) {
      const value = numbers[i] ?? 0
      if (aggregate === 'sum' || aggregate === 'mean') this.#sum.addInteger(value)
      else if (aggregate === 'min') {
        if (this.#min !== undefined && value >= this.#min) continue
        this.#min = value
        this.#minAt = placeOf(run, i)
      } else if (this.#max === undefined || value > this.#max) {
        this.#max = value
        this.#maxAt = placeOf(run, i)
      }
    }
  }

  point(aggregate: Aggregate, intervalMs: number | undefined): WindowPoint {
    const value = this.#value(aggregate) ?? 0
    if (intervalMs !== undefined) return { time: { ms: this.window * intervalMs, ns: 0 }, upTo: undefined, value }
    const { from, upTo } = this.#place(aggregate)
    return { time: from, upTo, value }
  }

  #place(aggregate: Aggregate): Place {
    if (aggregate === 'last') return this.#lastAt
    if (aggregate === 'min') return this.#minAt
    return aggregate === 'max' ? this.#maxAt : { from: this.#start, upTo: undefined }
  }

  #value(aggregate: Aggregate): PointValue | undefined {
    switch (aggregate) {
      case 'count':
        return this.#count
      case 'sum':
        return this.#sum.total()
      case 'mean':
        return this.#sum.mean(this.#count)
      case 'min':
        return this.#min
      case 'max':
        return this.#max
      case 'first':
        return this.#first
      case 'last':
        return this.#last
    }
  }
}
