import { SluiceError } from '../../shared/errors.ts'
import type { PointStore, RejectedPoint } from '../../shared/points/port.ts'
import type { PointBatch, PointValue, Series } from '../../shared/telemetry.ts'
import type { FieldTypes } from './field-types.ts'
import type { IngestMetrics } from './metrics.ts'
import type { Refusal, Slice } from './slice.ts'
import type { Retry } from './retry.ts'

/** Points of one slice that are to be written, column by column, with the reading each belongs to. */
export interface Accepted {
  readonly slice: Slice
  readonly points: PointBatch
  /** Per point, as in `Decoded`. */
  readonly record: readonly number[]
  readonly element: readonly number[]
}

/** What became of some slices: their points, without those that the store refused, and all their refusals. */
export interface Written {
  readonly stored: readonly Accepted[]
  readonly refusals: readonly Refusal[]
}

/** Errors that say something about the points, not about the store. */
const isAboutPoints = (error: SluiceError) => error.kind.class === 'data' || error.kind.class === 'size'

/** Brings decoded slices into the point store: types first, then one write for as many points as go together. */
export class PointWriter {
  readonly #points: Pick<PointStore, 'write'>
  readonly #types: FieldTypes
  readonly #retry: Retry
  readonly #metrics: IngestMetrics
  readonly #writePoints: number

  constructor(options: {
    points: Pick<PointStore, 'write'>
    types: FieldTypes
    retry: Retry
    metrics: IngestMetrics
    writePoints: number
  }) {
    this.#points = options.points
    this.#types = options.types
    this.#retry = options.retry
    this.#metrics = options.metrics
    this.#writePoints = options.writePoints
  }

  /** Resolves when every reading of the slices is visible in the store or among the refusals. Order is kept. */
  async write(slices: readonly Slice[]): Promise<Written> {
    const refusals: Refusal[] = slices.flatMap((slice) =>
      slice.decoded.rejects.map((reject): Refusal => ({ slice, stage: 'decode', ...reject })),
    )
    const asTheyAre = await this.#types.pin(slices.map((slice) => slice.decoded.points.series))
    const accepted = slices.map((slice) => this.#fit(slice, asTheyAre, refusals))
    const batch = concatenate(accepted.map(({ points }) => points))
    const rejected = await this.#writeAll(batch)
    this.#metrics.points.inc(batch.series.length - rejected.length)
    const stored = rejected.length === 0 ? accepted : withoutRejected(accepted, rejected, refusals)
    return { stored, refusals }
  }

  /** The slice's points as the types in force have them; a reading with a field that does not fit is refused whole. */
  #fit(slice: Slice, asTheyAre: boolean, refusals: Refusal[]): Accepted {
    const { points, record, element } = slice.decoded
    if (asTheyAre && !points.values.some((value) => typeof value === 'bigint')) {
      return { slice, points, record, element }
    }
    const kept = nothingOf(slice)
    for (let from = 0; from < record.length;) {
      const to = endOfReading(record, element, from)
      const refusal = this.#fitReading(points, from, to, kept.points)
      if (refusal === undefined) {
        kept.record.push(...record.slice(from, to))
        kept.element.push(...element.slice(from, to))
      } else
        refusals.push({ slice, record: record[from] ?? 0, element: element[from] ?? 0, stage: 'store', ...refusal })
      from = to
    }
    return kept
  }

  #fitReading(
    points: PointBatch,
    from: number,
    to: number,
    into: PointBatch,
  ): Pick<Refusal, 'code' | 'detail'> | undefined {
    const before = into.series.length
    for (let i = from; i < to; i++) {
      const fit = this.#types.fit(at(points.series, i), at(points.values, i))
      if ('code' in fit) {
        for (const column of [into.series, into.ms, into.ns, into.values]) column.length = before
        return fit
      }
      push(into, fit.series, at(points.ms, i), at(points.ns, i), fit.value)
    }
    return undefined
  }

  /** In writes of at most the configured number of points, one after the other. */
  async #writeAll(batch: PointBatch): Promise<RejectedPoint[]> {
    const rejected: RejectedPoint[] = []
    for (let from = 0; from < batch.series.length; from += this.#writePoints) {
      const part = slicePoints(batch, from, from + this.#writePoints)
      this.#metrics.writePoints.observe(part.series.length)
      for (const { index, error } of await this.#writePart(part)) rejected.push({ index: from + index, error })
    }
    return rejected
  }

  /** A store that refuses a whole write for what is in it gets its halves, until what it minds is alone. */
  async #writePart(batch: PointBatch): Promise<readonly RejectedPoint[]> {
    try {
      return await this.#retry.run('points', () => this.#points.write(batch), isAboutPoints)
    } catch (error) {
      if (!(error instanceof SluiceError) || !isAboutPoints(error)) throw error
      const count = batch.series.length
      if (count === 1) return [{ index: 0, error }]
      const middle = Math.ceil(count / 2)
      const first = await this.#writePart(slicePoints(batch, 0, middle))
      const second = await this.#writePart(slicePoints(batch, middle, count))
      return [...first, ...second.map(({ index, error: reason }) => ({ index: middle + index, error: reason }))]
    }
  }
}

/**
 * Takes what the store refused out of the slices. A reading is written field by field: when some of its points are
 * refused the others stay stored, and its dead letter says which.
 */
function withoutRejected(
  accepted: readonly Accepted[],
  rejected: readonly RejectedPoint[],
  refusals: Refusal[],
): Accepted[] {
  const errors = new Map(rejected.map(({ index, error }) => [index, error]))
  let base = 0
  return accepted.map((part) => {
    const { slice, points, record, element } = part
    const kept = nothingOf(slice)
    for (let from = 0; from < record.length;) {
      const to = endOfReading(record, element, from)
      const refused: string[] = []
      const stored: string[] = []
      let first: SluiceError | undefined
      for (let i = from; i < to; i++) {
        const error = errors.get(base + i)
        const series = at(points.series, i)
        first ??= error
        if (error !== undefined) refused.push(`"${series.field}" rejected: ${error.message}`)
        else {
          stored.push(`"${series.field}"`)
          push(kept.points, series, at(points.ms, i), at(points.ns, i), at(points.values, i))
          kept.record.push(at(record, i))
          kept.element.push(at(element, i))
        }
      }
      if (first !== undefined) {
        const rest =
          stored.length === 0 ? 'no field of the reading is stored' : `stored nevertheless: ${stored.join(', ')}`
        const detail = `${refused.join('; ')}; ${rest}`
        refusals.push({
          slice,
          record: at(record, from),
          element: at(element, from),
          stage: 'store',
          code: first.code,
          detail,
        })
      }
      from = to
    }
    base += record.length
    return kept
  })
}

/** Index behind the last point of the reading that begins at `from`. */
function endOfReading(record: readonly number[], element: readonly number[], from: number): number {
  let to = from + 1
  while (to < record.length && record[to] === record[from] && element[to] === element[from]) to++
  return to
}

function emptyBatch(): PointBatch {
  return { series: [], ms: [], ns: [], values: [] }
}

function push(batch: PointBatch, series: Series, ms: number, ns: number, value: PointValue): void {
  batch.series.push(series)
  batch.ms.push(ms)
  batch.ns.push(ns)
  batch.values.push(value)
}

function concatenate(batches: readonly PointBatch[]): PointBatch {
  const [first] = batches
  if (batches.length === 1 && first !== undefined) return first
  return {
    series: batches.flatMap(({ series }) => series),
    ms: batches.flatMap(({ ms }) => ms),
    ns: batches.flatMap(({ ns }) => ns),
    values: batches.flatMap(({ values }) => values),
  }
}

function slicePoints(batch: PointBatch, from: number, to: number): PointBatch {
  if (from === 0 && to >= batch.series.length) return batch
  const { series, ms, ns, values } = batch
  return {
    series: series.slice(from, to),
    ms: ms.slice(from, to),
    ns: ns.slice(from, to),
    values: values.slice(from, to),
  }
}

/** An element of a column at an index that is within it. */
function at<T>(column: readonly T[], index: number): T {
  const value = column[index]
  if (value === undefined) throw new RangeError(`no point ${index} among ${column.length}`)
  return value
}

/** Where points of the slice are put that are kept. */
function nothingOf(slice: Slice): Accepted & { record: number[]; element: number[] } {
  return { slice, points: emptyBatch(), record: [], element: [] }
}
