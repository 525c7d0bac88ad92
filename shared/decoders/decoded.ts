import type { ErrorCode } from '../errors.ts'
import type { PointBatch, PointValue, Series } from '../telemetry.ts'

/** Something to say about one reading: why it was rejected, or why its stored time is doubtful. */
export interface Reject {
  /** Index of the record in the decoded run. */
  readonly record: number
  /** Index of the reading in its payload; 0 for a single reading and for a payload that could not be read at all. */
  readonly element: number
  readonly code: ErrorCode
  /** What exactly was wrong, for a person. */
  readonly detail: string
  /** Where the reading lies in the payload, in bytes, `end` exclusive: all of it when it could not be read at all. */
  readonly start: number
  readonly end: number
}

/** What became of a run of records: every reading is either among the points or among the rejects. */
export interface Decoded {
  readonly points: PointBatch
  /** Per point: index of its record. */
  readonly record: number[]
  /** Per point: index of its reading in the payload. */
  readonly element: number[]
  /** Readings that gave points. */
  readonly readings: number
  readonly rejects: Reject[]
  /** Stored readings whose time is doubtful, code `clock_suspect`. */
  readonly suspects: Reject[]
  /** Fields of stored readings that were null, and skipped. */
  readonly nulls: number
}

/** How far a decoder got, to come back to when a payload turns out to be unreadable at its end. */
export interface Mark {
  readonly points: number
  readonly readings: number
  readonly rejects: number
  readonly suspects: number
  readonly nulls: number
}

/** What decoders write into, reading by reading. */
export class DecodedColumns implements Decoded {
  readonly points: PointBatch & { readonly series: Series[] } = { series: [], ms: [], ns: [], values: [] }
  readonly record: number[] = []
  readonly element: number[] = []
  readonly rejects: Reject[] = []
  readonly suspects: Reject[] = []
  readings = 0
  nulls = 0

  /** A value of the reading in progress. */
  push(series: Series, value: PointValue): void {
    this.points.series.push(series)
    this.points.values.push(value)
  }

  /** Ends the reading in progress: everything pushed since the last one belongs to it. */
  endReading(record: number, element: number, ms: number, ns: number): void {
    const { series, ms: columnMs, ns: columnNs } = this.points
    for (let i = columnMs.length; i < series.length; i++) {
      columnMs.push(ms)
      columnNs.push(ns)
      this.record.push(record)
      this.element.push(element)
    }
    this.readings += 1
  }

  /** True when nothing was pushed for the reading in progress. */
  readingIsEmpty(): boolean {
    return this.points.series.length === this.points.ms.length
  }

  /** Forgets the values of the reading in progress. */
  dropReading(): void {
    const { series, ms, values } = this.points
    series.length = ms.length
    values.length = ms.length
  }

  mark(): Mark {
    const { readings, rejects, suspects, nulls } = this
    return { points: this.points.ms.length, readings, rejects: rejects.length, suspects: suspects.length, nulls }
  }

  /** Forgets everything since the mark. */
  rewind(mark: Mark): void {
    const { series, ms, ns, values } = this.points
    for (const column of [series, ms, ns, values, this.record, this.element]) column.length = mark.points
    this.rejects.length = mark.rejects
    this.suspects.length = mark.suspects
    this.readings = mark.readings
    this.nulls = mark.nulls
  }
}
