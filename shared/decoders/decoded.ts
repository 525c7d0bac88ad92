import type { ErrorCode } from '../errors.ts'
import { Faults, type Fault } from '../faults.ts'
import { DEFAULT_POLICY, type SameTime } from '../policies/settings.ts'
import type { PointBatch, PointValue, Series } from '../telemetry.ts'

/** A stored reading whose time is doubtful, or is not that of the device. */
export interface Suspect {
  /** Index of the record in the decoded run, and of the reading in its payload. */
  readonly record: number
  readonly element: number
  readonly code: ErrorCode
  /** What exactly is doubtful, for a person. */
  readonly detail: string
}

/** A local time that was read by its zone. */
export interface LocalTime {
  /** When the reading was stored for, in ms since 1970. */
  readonly ms: number
  /** The other instant that the time may mean, or the same one. */
  readonly other: number
}

/** Where a local time stands. */
export interface LocalReading extends LocalTime {
  /** As of {@link Suspect}. */
  readonly record: number
  readonly element: number
}

/** Readings of a device that stand in a record which is not its own: for the owner of the device to store. */
export interface ReadingsOfDevice {
  /** Index of the record in the decoded run. */
  readonly record: number
  /** Its name. */
  readonly device: string
  readonly stream: string
  /** Of each series only field and type count. */
  readonly points: PointBatch
  /** Per point, as in {@link Decoded}. */
  readonly element: readonly number[]
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
  /** See the codes of `DoubtCode`. */
  readonly suspects: Suspect[]
  /** Local times near a change of their zone's clocks, in the order of the log; undefined for none. */
  readonly locals: readonly LocalReading[] | undefined
  /** In the order of the records, of which they are no points. */
  readonly others: readonly ReadingsOfDevice[]
  /** Fields of stored readings that were null, and skipped. */
  readonly nulls: number
  /** By the index of the record what its policy says of values of the same time, where that is not what is built in. */
  readonly sameTimes: ReadonlyMap<number, SameTime> | undefined
  /** By the index of the record, of those whose fields have no names of their own; see {@link Unnamed}. */
  readonly unnamed: ReadonlyMap<number, Unnamed> | undefined
  /** Some are texts. */
  readonly hasTexts: boolean
  /** Something of the record is refused. */
  refuse(record: number, fault: Fault): void
}

/** `text`: it is one line of text because it is nothing else, and no policy says that it may be. `value`: another value, or lines. */
export type Unnamed = 'text' | 'value'

/** How far a decoder got, to come back to when a payload turns out to be unreadable at its end. */
export interface Mark {
  readonly points: number
  readonly readings: number
  readonly suspects: number
  readonly nulls: number
}

/** Points from `from` inclusive to `to` exclusive, and their time. */
interface Placed {
  readonly from: number
  readonly to: number
  readonly ms: number
  readonly ns: number
}

/** What decoders write into, reading by reading. */
export class DecodedColumns implements Decoded {
  readonly points: PointBatch & { readonly series: Series[] } = { series: [], ms: [], ns: [], values: [] }
  readonly record: number[] = []
  readonly element: number[] = []
  readonly faults = new Map<number, Faults>()
  readonly suspects: Suspect[] = []
  readonly others: ReadingsOfDevice[] = []
  readings = 0
  nulls = 0
  locals: LocalReading[] | undefined
  sameTimes: Map<number, SameTime> | undefined
  unnamed: Map<number, Unnamed> | undefined
  hasTexts = false
  /** Runs of points of the reading in progress that have a time of their own. */
  readonly #placed: Placed[] = []

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
    if (this.#placed.length > 0) this.#place()
    this.readings += 1
  }

  /** Where the next value will stand. */
  get next(): number {
    return this.points.series.length
  }

  /** The values of the reading in progress from `from` on have this time, whatever the reading has. */
  placeFrom(from: number, ms: number, ns: number): void {
    if (from < this.next) this.#placed.push({ from, to: this.next, ms, ns })
  }

  #place(): void {
    const { ms, ns } = this.points
    // A list within a list was placed before the one that holds it, and keeps its own time.
    for (const run of this.#placed.reverse()) {
      ms.fill(run.ms, run.from, run.to)
      ns.fill(run.ns, run.from, run.to)
    }
    this.#placed.length = 0
  }

  /**
   * Takes out what would be stored over another value from `from` on: the same series and time twice, of which the first
   * stands. Gives the fields.
   */
  dropRepeats(from: number): string[] {
    const { series, ms, ns, values } = this.points
    const seen = new Map<Series, Set<string>>()
    const dropped: string[] = []
    let to = from
    for (let i = from; i < series.length; i++) {
      const one = at(series, i)
      const time = `${ms[i]} ${ns[i]}`
      const times = seen.get(one) ?? new Set()
      seen.set(one, times)
      if (times.has(time)) {
        dropped.push(one.field)
        continue
      }
      times.add(time)
      for (const column of [series, ms, ns, values, this.record, this.element] as unknown[][]) column[to] = column[i]
      to += 1
    }
    for (const column of [series, ms, ns, values, this.record, this.element]) column.length = to
    return dropped
  }

  /** True when each value of the reading in progress has a time of its own. */
  get isPlaced(): boolean {
    let at = this.points.ms.length
    for (const { from, to } of this.#placed.toSorted((a, b) => a.from - b.from)) if (from <= at) at = Math.max(at, to)
    return at >= this.next
  }

  /** True when nothing was pushed for the reading in progress. */
  readingIsEmpty(): boolean {
    return this.points.series.length === this.points.ms.length
  }

  /** Forgets the values of the reading in progress. */
  dropReading(): void {
    this.dropFrom(this.points.ms.length)
  }

  /** Forgets those of them from `from` on. */
  dropFrom(from: number): void {
    this.points.series.length = from
    this.points.values.length = from
    while ((this.#placed.at(-1)?.from ?? -1) >= from) this.#placed.pop()
  }

  mark(): Mark {
    const { readings, suspects, nulls } = this
    return { points: this.points.ms.length, readings, suspects: suspects.length, nulls }
  }

  /** What the policy of the record says of values of the same time. */
  setSameTime(record: number, rule: SameTime): void {
    if (rule !== DEFAULT_POLICY.same_time) (this.sameTimes ??= new Map()).set(record, rule)
  }

  /** The fields of the record have no names of their own. */
  setUnnamed(record: number, what: Unnamed): void {
    ;(this.unnamed ??= new Map()).set(record, what)
    this.hasTexts ||= what === 'text'
  }

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
    this.#placed.length = 0
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

function at<T>(column: readonly T[], index: number): T {
  const value = column[index]
  if (value === undefined) throw new RangeError(`no point ${index} among ${column.length}`)
  return value
}
