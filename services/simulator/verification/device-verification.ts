import type { PointValue } from '../../../shared/telemetry.ts'
import { DEFAULT_STREAM } from '../../../shared/topics.ts'
import type { Ledger } from './ledger.ts'
import type { Workload } from '../workload.ts'

/** Readings as the API answers them with `epoch=us`. It is what is to be proven, so nothing is taken for granted. */
export interface ReadingsAnswer {
  readonly series: readonly {
    readonly stream: string
    readonly field: string
    readonly points: readonly (readonly [unknown, unknown])[]
  }[]
  readonly complete: boolean
  readonly next: string | null
}

/** Asks for one page of all readings of a device's default stream, of all fields, without bounds in time. */
export type ReadPage = (device: number, cursor: string | undefined) => Promise<ReadingsAnswer>

export type Problem = 'lost' | 'duplicated' | 'wrong' | 'unexpected'

export interface Difference {
  readonly device: number
  /** Undefined for a point that no reading of the device explains. */
  readonly sequence: number | undefined
  readonly problem: Problem
  readonly detail: string
}

export interface Verdict {
  /** Acknowledged readings that came back once with every value as sent. */
  stored: number
  /** Acknowledged readings of which nothing came back. */
  lost: number
  /** Readings that came back more than once. */
  duplicated: number
  /** Readings that came back with another value, or not with all of their fields. */
  wrong: number
  /** Points that were never sent: another time, field or stream. */
  unexpected: number
  /** Readings sent without an acknowledgement (QoS 0, or a connection that went): there, and not there. */
  unacknowledgedStored: number
  unacknowledgedAbsent: number
  differences: Difference[]
}

/** Differences listed one by one; the rest is only counted. */
export const MAX_DIFFERENCES = 20

const SEEN = 1
const WRONG = 2
const REPEATED = 4

export function emptyVerdict(): Verdict {
  return {
    ...{ stored: 0, lost: 0, duplicated: 0, wrong: 0, unexpected: 0 },
    ...{ unacknowledgedStored: 0, unacknowledgedAbsent: 0, differences: [] },
  }
}

/** True when every acknowledged reading is there once with its values, and nothing else is. */
export function isClean({ lost, duplicated, wrong, unexpected }: Verdict): boolean {
  return lost + duplicated + wrong + unexpected === 0
}

/** Compares everything that the API has of one device with what the ledger says was sent. */
export async function verifyDevice(
  device: number,
  { workload, ledger, read }: { workload: Workload; ledger: Ledger; read: ReadPage },
): Promise<Verdict> {
  const check = new DeviceCheck(device, workload, ledger)
  let cursor: string | undefined
  for (;;) {
    const page = await read(device, cursor)
    for (const { stream, field, points } of page.series) check.series(stream, field, points)
    // Asking the same again for ever would never end: a cursor has to lead on.
    if (page.next === null || page.next === undefined || page.next === cursor) break
    cursor = page.next
  }
  return check.verdict()
}

/** Adds what was found for one device to the whole. */
export function addVerdict(total: Verdict, part: Verdict): void {
  for (const key of COUNTS) total[key] += part[key]
  total.differences.push(...part.differences.slice(0, MAX_DIFFERENCES - total.differences.length))
}

const COUNTS = [
  'stored',
  'lost',
  'duplicated',
  'wrong',
  'unexpected',
  'unacknowledgedStored',
  'unacknowledgedAbsent',
] as const satisfies (keyof Verdict)[]

class DeviceCheck {
  readonly #device: number
  readonly #workload: Workload
  readonly #ledger: Ledger
  readonly #length: number
  /** How often each field of each reading came back, by sequence number, then field. */
  readonly #seen: Uint8Array
  readonly #flags: Uint8Array
  readonly #verdict = emptyVerdict()

  constructor(device: number, workload: Workload, ledger: Ledger) {
    this.#device = device
    this.#workload = workload
    this.#ledger = ledger
    this.#length = ledger.length(device)
    this.#seen = new Uint8Array(this.#length * workload.fields.length)
    this.#flags = new Uint8Array(this.#length)
  }

  series(stream: string, field: string, points: readonly (readonly [unknown, unknown])[]): void {
    const fieldIndex = stream === DEFAULT_STREAM ? this.#workload.fields.indexOf(field) : -1
    for (const [time, value] of points) this.#point({ stream, field, fieldIndex }, time, value)
  }

  verdict(): Verdict {
    for (let sequence = 0; sequence < this.#length; sequence += 1) this.#reading(sequence)
    return this.#verdict
  }

  #point(series: { stream: string; field: string; fieldIndex: number }, time: unknown, value: unknown): void {
    const { stream, field, fieldIndex } = series
    const sequence = typeof time === 'number' ? this.#workload.sequenceAt(time) : undefined
    if (fieldIndex < 0 || sequence === undefined || this.#ledger.entry(this.#device, sequence) === 'unsent') {
      this.#verdict.unexpected += 1
      return this.#note(sequence, 'unexpected', `${stream}.${field} = ${JSON.stringify(value)} at ${String(time)}`)
    }
    const expected = this.#workload.value(this.#device, sequence, field)
    const at = sequence * this.#workload.fields.length + fieldIndex
    let flags = (this.#flags[sequence] ?? 0) | SEEN
    if (this.#seen[at] === 1) flags = this.#mark(flags, REPEATED, sequence, `${field} was returned more than once`)
    this.#seen[at] = 1
    if (!isSame(value, expected)) {
      flags = this.#mark(
        flags,
        WRONG,
        sequence,
        `${field} is ${JSON.stringify(value)}, but ${shown(expected)} was sent`,
      )
    }
    this.#flags[sequence] = flags
  }

  #reading(sequence: number): void {
    const entry = this.#ledger.entry(this.#device, sequence)
    if (entry === 'unsent') return
    let flags = this.#flags[sequence] ?? 0
    if ((flags & SEEN) === 0) return this.#absent(sequence, entry === 'acknowledged')
    const missing = this.#missingField(sequence)
    if (missing !== undefined) flags = this.#mark(flags, WRONG, sequence, `${missing} is missing`)
    if ((flags & REPEATED) !== 0) this.#verdict.duplicated += 1
    if ((flags & WRONG) !== 0) this.#verdict.wrong += 1
    if ((flags & (REPEATED | WRONG)) !== 0) return
    if (entry === 'acknowledged') this.#verdict.stored += 1
    else this.#verdict.unacknowledgedStored += 1
  }

  #absent(sequence: number, acknowledged: boolean): void {
    if (!acknowledged) {
      this.#verdict.unacknowledgedAbsent += 1
      return
    }
    this.#verdict.lost += 1
    const after = this.#ledger.acknowledgedAfterMs(this.#device, sequence)
    this.#note(sequence, 'lost', `acknowledged ${((after ?? 0) / 1000).toFixed(3)} s after the start`)
  }

  #missingField(sequence: number): string | undefined {
    const { fields } = this.#workload
    return fields.find(
      (field, index) =>
        this.#seen[sequence * fields.length + index] !== 1 &&
        this.#workload.value(this.#device, sequence, field) !== undefined,
    )
  }

  /** Sets a flag of a reading and lists the difference when it is the first of its kind. */
  #mark(flags: number, flag: number, sequence: number, detail: string): number {
    if ((flags & flag) === 0) this.#note(sequence, flag === REPEATED ? 'duplicated' : 'wrong', detail)
    return flags | flag
  }

  #note(sequence: number | undefined, problem: Problem, detail: string): void {
    if (this.#verdict.differences.length >= MAX_DIFFERENCES) return
    this.#verdict.differences.push({ device: this.#device, sequence, problem, detail })
  }
}

function isSame(found: unknown, expected: PointValue | undefined): boolean {
  return expected !== undefined && found === expected
}

function shown(value: PointValue | undefined): string {
  return value === undefined ? 'nothing' : JSON.stringify(typeof value === 'bigint' ? String(value) : value)
}
