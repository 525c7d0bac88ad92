// Invariant: what a value gets depends on the records before it alone, in the order of the log, and on nothing that a
// restart, a checkpoint or another worker changes. So a record that is read again gets what it got.
import { LocalHours, type WrittenHours } from './local-hours.ts'
import type { Progress } from './slice.ts'

/** Values of one field and kind at one time; what comes behind them takes the place of the last. */
export const MAX_AT_ONE_TIME = 256
/** Values of a field that are remembered of times before its newest: those times that have several. */
const MAX_EARLIER = 64
/** Values of a stream that are remembered; the field that had a new time least recently is forgotten first. */
const MAX_VALUES = 2048
const VERSION = 1

/** Values that one time of the device's has had: the one at index i stands i nanoseconds after it. */
interface KeptTime {
  readonly ms: number
  readonly ns: number
  readonly marks: number[]
}

/** A value of a record, and what is known of how it was sent. */
export interface Sent {
  /** Index of the point within its record. */
  readonly point: number
  /** What tells field and kind from the others of the stream. */
  readonly field: string
  readonly ms: number
  readonly ns: number
  /** What tells the value from others, a finite number. */
  readonly mark: number
  /** The client says that it may have sent the message before. */
  readonly isDup: boolean
}

type Written = readonly [
  version: number,
  log: string,
  partition: number,
  through: number,
  fields: readonly (readonly [string, ...(readonly number[])[]])[],
  later: readonly number[],
  hours?: WrittenHours,
]

/**
 * Where the values of one stream go that have the same time. A value that is not the last one of its time takes the next
 * free nanosecond, as long as its time is the newest of the field, or an earlier one that has several values and is still
 * remembered; of any other earlier time nothing is known, and the value stays where it was sent for.
 *
 * Goes into the registry with the latest state, before the position is committed. Of records at or above that position it
 * holds which values stand later than they were sent for, and by how much: all others do not.
 */
export class KeptValues {
  #log = ''
  #partition = -1
  /** Offset of the last record that was decided. */
  #through = -1
  /** Per field the times in their order, the newest last. */
  readonly #fields = new Map<string, KeptTime[]>()
  #values = 0
  /** Offset, point and nanoseconds, one after the other, in the order of the log. */
  #later: number[] = []
  #hours: LocalHours | undefined

  /** Which hour the local times of the stream are of. */
  get hours(): LocalHours {
    return (this.#hours ??= new LocalHours())
  }

  /** Inverse of {@link write}; what another version has written is not known. */
  static read(text: string | undefined): KeptValues {
    const kept = new KeptValues()
    if (text === undefined || text === '') return kept
    const [version, log, partition, through, fields, later, hours] = JSON.parse(text) as Written // our own text
    if (version !== VERSION) return kept
    kept.#log = log
    kept.#partition = partition
    kept.#through = through
    kept.#later = [...later]
    if (hours !== undefined) kept.#hours = LocalHours.read(hours)
    for (const [field, ...times] of fields) {
      kept.#fields.set(
        field,
        times.map(([ms = 0, ns = 0, ...marks]) => ({ ms, ns, marks })),
      )
      for (const time of times) kept.#values += time.length - 2
    }
    return kept
  }

  /** As text. What is below the committed position of its partition is not read again, and is left out from now on. */
  write(progress: Pick<Progress, 'log' | 'partition' | 'committed'>): string {
    const { log, partition, committed } = progress
    if (log === this.#log && partition === this.#partition)
      this.#later = this.#later.slice(3 * this.#find(committed, 0))
    const fields = Array.from(this.#fields, ([field, times]) => [
      field,
      ...times.map(({ ms, ns, marks }) => [ms, ns, ...marks]),
    ])
    const hours = this.#hours === undefined ? [] : [this.#hours.write(progress)]
    return JSON.stringify([VERSION, this.#log, this.#partition, this.#through, fields, this.#later, ...hours])
  }

  /**
   * Decides the values of the record at `offset`, all that there are: by how many nanoseconds each stands later than it
   * was sent for.
   */
  decide({ log, partition }: Pick<Progress, 'log' | 'partition'>, offset: number, values: readonly Sent[]): number[] {
    if (log !== this.#log || partition !== this.#partition) {
      // Positions of another log say nothing of this one's.
      this.#log = log
      this.#partition = partition
      this.#through = -1
      this.#later = []
    }
    if (offset <= this.#through) return values.map((value) => this.#decided(offset, value))
    this.#through = offset
    return values.map((value) => {
      const later = this.#next(value)
      if (later > 0) this.#later.push(offset, value.point, later)
      return later
    })
  }

  /** Of a value that is read again. */
  #decided(offset: number, { point, field, ms, ns, mark }: Sent): number {
    const at = 3 * this.#find(offset, point)
    if (this.#later[at] === offset && this.#later[at + 1] === point) return this.#later[at + 2] ?? 0
    // It stands where it was sent for; where the log was set back behind what was committed, beside an equal one.
    const [time, before] = findTime(this.#fields.get(field), ms, ns)
    return Math.max(0, (time?.marks.indexOf(mark, before) ?? 0) - before)
  }

  #next({ field, ms, ns, mark, isDup }: Sent): number {
    const times = this.#fields.get(field)
    const newest = times?.at(-1)
    if (times === undefined || newest === undefined) return this.#begin(field, [], { ms, ns, marks: [mark] })
    const [time, before] = findTime(times, ms, ns)
    if (time === undefined) {
      if (ms < newest.ms || (ms === newest.ms && ns < newest.ns)) return 0
      return this.#begin(field, times, { ms, ns, marks: [mark] })
    }
    const { marks } = time
    const last = marks.length - 1
    if (marks[last] === mark) return last - before
    // A copy of a message that came before others of its time.
    const known = isDup || time !== newest ? marks.lastIndexOf(mark) : -1
    if (known >= before) return known - before
    if (marks.length < MAX_AT_ONE_TIME) {
      marks.push(mark)
      this.#values += 1
      this.#forget(field)
    } else marks[last] = mark
    return marks.length - 1 - before
  }

  /** The field has a new newest time. Of those before it the ones with several values stay, as many as are remembered. */
  #begin(field: string, times: readonly KeptTime[], newest: KeptTime): number {
    const kept = [newest]
    let values = 0
    for (const time of times.toReversed()) {
      if (time.marks.length === 1) continue
      values += time.marks.length
      if (values > MAX_EARLIER) break
      kept.push(time)
    }
    this.#values += countOf(kept) - countOf(times)
    this.#fields.delete(field)
    this.#fields.set(field, kept.reverse())
    this.#forget(field)
    return 0
  }

  #forget(but: string): void {
    for (const [field, times] of this.#fields) {
      if (this.#values <= MAX_VALUES) return
      if (field === but) continue
      this.#values -= countOf(times)
      this.#fields.delete(field)
    }
  }

  /** Index of the first of `#later` that is not before the place. */
  #find(offset: number, point: number): number {
    let [low, high] = [0, this.#later.length / 3]
    while (low < high) {
      const middle = (low + high) >> 1
      const order = (this.#later[3 * middle] ?? 0) - offset || (this.#later[3 * middle + 1] ?? 0) - point
      if (order < 0) low = middle + 1
      else high = middle
    }
    return low
  }
}

/** The time whose values stand there, and how many of them stand before it. */
function findTime(
  times: readonly KeptTime[] | undefined,
  ms: number,
  ns: number,
): readonly [KeptTime | undefined, number] {
  for (let i = (times?.length ?? 0) - 1; i >= 0; i--) {
    const time = times?.[i]
    if (time === undefined) continue
    const before = (ms - time.ms) * 1_000_000 + ns - time.ns
    if (before >= 0) return before < time.marks.length ? [time, before] : [undefined, 0]
  }
  return [undefined, 0]
}

function countOf(times: readonly KeptTime[]): number {
  return times.reduce((sum, { marks }) => sum + marks.length, 0)
}
