// Invariant: 8 MiB, whatever comes: every column has its length from the beginning. What does not fit any more is
// forgotten, the oldest first, and an overwrite of it is not seen.
import type { PointBatch, Series } from '../../shared/telemetry.ts'
import { formatInstant } from '../../shared/telemetry.ts'
import type { IngestMetrics } from './metrics.ts'
import type { Accepted } from './accepted.ts'
import type { Slice } from './slice.ts'
import { markOf } from './value-mark.ts'
import { ValueTable } from './value-table.ts'

/** Series whose newest value is remembered: as many as the decoder keeps. 24 bytes each. */
const SEATS = 200_000

/** A message that stored another value for a time at which a field had one already: the first such field of the message. */
export interface Overwrite {
  readonly slice: Slice
  /** Index of the record in the slice. */
  readonly record: number
  /** Index of the point in the columns that were looked at. */
  readonly part: Accepted
  readonly point: number
  /** What {@link markOf} made of the value before. */
  readonly before: number
}

/**
 * What this worker has stored lately: of each series the newest time, and of all together the times before that, each with
 * its value. Asked after the points are stored: an identity that had another value, of another message, is an overwrite.
 * Nothing is read for it; a worker that starts remembers nothing.
 */
export class RecentValues {
  readonly #metrics: Pick<IngestMetrics, 'overwritten' | 'rememberedTimes'>
  // By seat, side by side for the processor's cache: of the newest time ms and mark; ns and the number of the message.
  readonly #doubles = new Float64Array(2 * SEATS)
  readonly #words = new Uint32Array(2 * SEATS)
  readonly #older = new ValueTable()
  /** Seats are given in turn: one is taken away when as many were given after it. */
  #given = 1
  #firstValid = 1
  #writer = 0
  /** Per log and partition: offset behind the last record that was looked at. Bound: those of the logs met. */
  readonly #seen = new Map<string, number>()

  constructor({ metrics }: { metrics: Pick<IngestMetrics, 'overwritten' | 'rememberedTimes'> }) {
    this.#metrics = metrics
  }

  /** To be called with what is stored, in the order of the log. Records that were looked at before are passed over. */
  look(part: Accepted): readonly Overwrite[] {
    if (part.slice.progress.revoked) return []
    const found = this.#look(part, this.#firstNew(part.slice))
    this.#metrics.rememberedTimes.set(this.#given - this.#firstValid + this.#older.size)
    return found
  }

  /** Somebody else may have written meanwhile, or deleted: nothing that is remembered has to be so. */
  forget(): void {
    this.#firstValid = this.#given
    this.#older.clear()
  }

  /** Index of the first record that is not read again. */
  #firstNew({ progress, firstOffset, records }: Slice): number {
    const place = `${progress.log}/${progress.partition}`
    const seen = this.#seen.get(place) ?? 0
    this.#seen.set(place, Math.max(seen, firstOffset + records.length))
    return seen - firstOffset
  }

  #look(part: Accepted, firstNew: number): Overwrite[] {
    const { record, points } = part
    const { series, values } = points
    const found: Overwrite[] = []
    let last = -1
    let count = 0
    for (let point = 0; point < record.length; point++) {
      const index = record[point] ?? 0
      const one = series[point]
      const value = values[point]
      if (index < firstNew || one === undefined || value === undefined) continue
      if (index !== last) this.#writer = (this.#writer + 1) >>> 0
      last = index
      const before = this.#note(one, points, point)
      if (before === undefined) continue
      count += 1
      if (found.at(-1)?.record !== index) found.push({ slice: part.slice, record: index, part, point, before })
    }
    if (count > 0) this.#metrics.overwritten.inc(count)
    return found
  }

  /**
   * The mark that another message gave the point, when it was another one; its own is remembered instead. Times and marks are
   * not passed on one by one here: each would be an object of its own.
   */
  #note(series: Series, points: PointBatch, point: number): number | undefined {
    const value = points.values[point] ?? 0
    const mark = typeof value === 'number' ? value + 0 : markOf(value)
    const ms = points.ms[point] ?? 0
    const ns = points.ns[point] ?? 0
    const doubles = this.#doubles
    const words = this.#words
    let seat = series.seat
    if (seat === undefined || seat < this.#firstValid) seat = this.#seatOf(series)
    const at = (seat % SEATS) * 2
    const newestMs = doubles[at] ?? -1
    const newestNs = words[at] ?? 0
    if (ms < newestMs || (ms === newestMs && ns < newestNs)) {
      return this.#older.exchange(seat, ms, ns, mark, this.#writer)
    }
    const writer = words[at + 1] ?? 0
    if (ms === newestMs && ns === newestNs) {
      const before = doubles[at + 1] ?? 0
      doubles[at + 1] = mark
      words[at + 1] = this.#writer
      return writer !== this.#writer && before !== mark ? before : undefined
    }
    if (newestMs >= 0) this.#older.add(seat, doubles, at, newestNs, writer)
    doubles[at] = ms
    doubles[at + 1] = mark
    words[at] = ns
    words[at + 1] = this.#writer
    return undefined
  }

  #seatOf(series: Series): number {
    const seat = this.#given
    this.#given += 1
    this.#firstValid = Math.max(this.#firstValid, this.#given - SEATS)
    series.seat = seat
    this.#doubles[(seat % SEATS) * 2] = -1
    return seat
  }
}

/** What was and what is, for a person. */
export function describeOverwrite({ part, point, before }: Overwrite): string {
  const { series, ms, ns, values } = part.points
  const [one, value] = [series[point], values[point]]
  const time = formatInstant({ ms: ms[point] ?? 0, ns: ns[point] ?? 0 })
  if (typeof value === 'boolean') return `"${one?.field}" was ${before === 1} at ${time}, and is ${value} now`
  if (typeof value === 'number') return `"${one?.field}" was ${before} at ${time}, and is ${value} now`
  return `"${one?.field}" had another value at ${time}`
}
