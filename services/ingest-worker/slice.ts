import { decodedBytes } from '../../shared/decoders/compression.ts'
import type { Decoded } from '../../shared/decoders/decode.ts'
import { Faults, type Fault } from '../../shared/faults.ts'
import type { LogGap } from '../../shared/log/port.ts'
import { isReplay } from '../../shared/record.ts'
import type { LogRecord } from '../../shared/telemetry.ts'
import type { Taken } from './taken.ts'

/** Payload bytes, compressed ones as what they may hold, decoded without a pause: some milliseconds, in which MQTT and HTTP of the same process wait. */
const SLICE_BYTES = 256 * 1024

/** How far a partition is, from the moment it is ours until it is taken away. */
export interface Progress {
  /** Which log the offsets are of. */
  log: string
  readonly partition: number
  /** Where the partition ended when it became ours. */
  readonly end: number
  /** The group had no position in this log, and nothing is told of the one before yet. */
  isNew: boolean
  /** Receive time of the last record that is stored, in ms; undefined before the first. */
  storedMs: number | undefined
  /** What was taken of records that were handed on, of those that are decoded. */
  taken: Taken
  /** The same of those that are stored: what is committed with the position. */
  note: string | undefined
  /** Offset behind the last record that is written, dead letters and all: what may be committed. */
  stored: number
  committed: number
  /** The partition is no longer ours: nothing of it is written or committed any more. */
  revoked: boolean
}

/** A run of records of one partition on its way from decoding to the stores. */
export interface Slice {
  readonly progress: Progress
  readonly firstOffset: number
  /** Replayed ones are never beside others. */
  readonly records: readonly LogRecord[]
  readonly decoded: Decoded
  /** When it was read from the log, and was decoded, in ms since 1970. */
  readonly readMs?: number
  readonly decodedMs?: number
  /** What was lost right before it. */
  readonly gap?: LogGap
  /** The note of the position behind it, where that is another one than before. */
  readonly note?: string | undefined
}

/** Whether its records were replayed. */
export function isOfReplays({ records: [first] }: Slice): boolean {
  return first !== undefined && isReplay(first)
}

/** Something is wrong with a record, or doubtful, found after it was decoded. */
export interface LateFault {
  readonly slice: Slice
  /** Index of the record in the slice. */
  readonly record: number
  readonly fault: Fault
}

/** What was refused of one record, by the decoder or by the store: one dead letter. */
export interface Refusal {
  readonly slice: Slice
  /** Index of the record in the slice. */
  readonly record: number
  readonly faults: Faults
  /** All of the record is stored; the faults are doubts. */
  readonly isWarning?: boolean
}

/** The refusals of some slices, gathered in passing; what the decoder found is in it from the beginning. */
export class Refusals {
  readonly #bySlice: ReadonlyMap<Slice, Map<number, Faults>>

  constructor(slices: readonly Slice[]) {
    // Copies: the slices may be written again.
    this.#bySlice = new Map(slices.map((slice) => [slice, new Map(Array.from(slice.decoded.faults, copyEntry))]))
  }

  /** The store refuses a field. */
  add(slice: Slice, record: number, fault: Fault): void {
    const records = this.#bySlice.get(slice)
    if (records === undefined) throw new RangeError('the slice is none of those written')
    const faults = records.get(record) ?? new Faults()
    faults.add(fault)
    records.set(record, faults)
  }

  /** In the order of the log. */
  list(): Refusal[] {
    return [...this.#bySlice].flatMap(([slice, records]) =>
      [...records].sort(([a], [b]) => a - b).map(([record, faults]) => ({ slice, record, faults })),
    )
  }
}

function copyEntry([record, faults]: [number, Faults]): [number, Faults] {
  const copy = new Faults()
  copy.addAll(faults)
  return [record, copy]
}

/** Records in runs of which each is not much to decode in one go, those that were replayed apart from the others. */
export function* slicesOf(records: readonly LogRecord[]): Generator<readonly LogRecord[]> {
  let from = 0
  let bytes = 0
  let isOfReplay = false
  for (let i = 0; i < records.length; i++) {
    const record = records[i]
    if (record === undefined) continue
    if (isReplay(record) !== isOfReplay) {
      isOfReplay = !isOfReplay
      if (i > from) yield records.slice(from, i)
      from = i
      bytes = 0
    }
    bytes += decodedBytes(record.value)
    if (bytes < SLICE_BYTES) continue
    yield records.slice(from, i + 1)
    from = i + 1
    bytes = 0
  }
  if (from < records.length) yield from === 0 ? records : records.slice(from)
}
