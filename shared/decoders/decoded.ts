import type { ErrorCode } from '../errors.ts'
import { Faults, type Fault } from '../faults.ts'
import type { PointBatch, PointValue, Series } from '../telemetry.ts'

/** A stored reading whose time is doubtful. */
export interface Suspect {
  /** Index of the record in the decoded run, and of the reading in its payload. */
  readonly record: number
  readonly element: number
  readonly code: ErrorCode
  /** What exactly is doubtful, for a person. */
  readonly detail: string
}

/** What became of a run of records: every field of every reading is among the points, or null, or among the faults. */
export interface Decoded {
  readonly points: PointBatch
  /** Per point: index of its record. */
  readonly record: number[]
  /** Per point: index of its reading in the payload. */
  readonly element: number[]
  /** Readings that gave points: with a fault in one field or another, too. */
  readonly readings: number
  /** By the index of the record, of those of which something was refused. */
  readonly faults: ReadonlyMap<number, Faults>
  /** Code `clock_suspect`. */
  readonly suspects: Suspect[]
  /** Fields of stored readings that were null, and skipped. */
  readonly nulls: number
}

/** How far a decoder got, to come back to when a payload turns out to be unreadable at its end. */
export interface Mark {
  readonly points: number
  readonly readings: number
  readonly suspects: number
  readonly nulls: number
}

/** What decoders write into, reading by reading. */
export class DecodedColumns implements Decoded {
  readonly points: PointBatch & { readonly series: Series[] } = { series: [], ms: [], ns: [], values: [] }
  readonly record: number[] = []
  readonly element: number[] = []
  readonly faults = new Map<number, Faults>()
  readonly suspects: Suspect[] = []
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
    const { readings, suspects, nulls } = this
    return { points: this.points.ms.length, readings, suspects: suspects.length, nulls }
  }

  /** Something of the record is refused. */
  refuse(record: number, fault: Fault): void {
    this.#faultsOf(record).add(fault)
  }

  refuseAll(record: number, faults: Faults): void {
    this.#faultsOf(record).addAll(faults)
  }

  /** Forgets everything since the mark, which was made where the record began. */
  rewind(mark: Mark, record: number): void {
    const { series, ms, ns, values } = this.points
    for (const column of [series, ms, ns, values, this.record, this.element]) column.length = mark.points
    this.faults.delete(record)
    this.suspects.length = mark.suspects
    this.readings = mark.readings
    this.nulls = mark.nulls
  }

  #faultsOf(record: number): Faults {
    let faults = this.faults.get(record)
    if (faults === undefined) {
      faults = new Faults()
      this.faults.set(record, faults)
    }
    return faults
  }
}
