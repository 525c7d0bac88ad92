import { KEPT_PAYLOAD_BYTES, recordToDeadLetter, type DeadLetter } from '../../shared/dead-letter.ts'
import type { DeletedLetters } from './deleted-letters.ts'
import type { TelemetryLog } from '../../shared/log/port.ts'
import type { LogRecord } from '../../shared/telemetry.ts'

/** Dead letters read at a time; of each the beginning of its payload stays in memory. */
export const WINDOW = 200

/** A dead letter as it is shown, with the first 4 KiB of its payload, and where in `telemetry.dead-letter` it lies. */
export interface FoundLetter {
  readonly letter: DeadLetter
  /** Length of the payload that was kept. */
  readonly payloadBytes: number
  readonly partition: number
  readonly offset: number
}

/** What is at an offset: a record that is no dead letter of ours may be there, too. */
interface Entry {
  readonly offset: number
  readonly failedMs: number
  readonly found: FoundLetter | undefined
}

/** One partition read backwards, a window at a time. */
export class LetterReader {
  readonly partition: number
  readonly #log: TelemetryLog
  readonly #start: number
  readonly #deleted: DeletedLetters
  #window: Entry[] = []
  /** Lowest offset that was fetched. */
  #low: number
  /** Lowest offset that was taken: where the next page begins, exclusive. */
  position: number

  /** From `end` down to `start`; what holds deleted readings is passed over. */
  constructor(
    log: TelemetryLog,
    { partition, start, end }: { readonly partition: number; readonly start: number; readonly end: number },
    deleted: DeletedLetters,
  ) {
    this.#deleted = deleted
    this.#log = log
    this.partition = partition
    this.#start = start
    this.#low = end
    this.position = end
  }

  async peek(): Promise<Entry | undefined> {
    while (this.#window.length === 0 && this.#low > this.#start) {
      const high = this.#low
      this.#low = Math.max(this.#start, high - WINDOW)
      this.#window = await readWindow(this.#log, this.partition, this.#low, high, this.#deleted)
    }
    return this.#window.at(-1)
  }

  /** Moves behind the entry that {@link peek} showed. */
  take(): void {
    this.position = this.#window.pop()?.offset ?? this.#start
  }
}

/** What lies from `low` (inclusive) to `high` (exclusive); fewer where retention took some meanwhile. */
export async function readWindow(
  log: TelemetryLog,
  partition: number,
  low: number,
  high: number,
  deleted?: DeletedLetters,
): Promise<Entry[]> {
  const entries: Entry[] = []
  const signal = new AbortController().signal
  const from = { offset: low }
  const read = log.read({ topic: 'telemetry.dead-letter', partition, from, maxRecords: WINDOW, follow: false, signal })
  for await (const batch of read) {
    batch.records.forEach((record, index) => {
      const offset = batch.firstOffset + index
      if (offset < low || offset >= high) return
      const failedMs = Number(record.headers?.['failed'] ?? record.ms)
      entries.push({ offset, failedMs, found: findLetter(record, { partition, offset }, deleted) })
    })
    if (batch.firstOffset + batch.records.length >= high) break
  }
  return entries
}

/** Undefined for a record that is not a dead letter of ours, or holds what was deleted. */
export function findLetter(
  record: LogRecord,
  at: { readonly partition: number; readonly offset: number },
  deleted?: DeletedLetters,
): FoundLetter | undefined {
  const letter = recordToDeadLetter(record)
  if (letter === undefined || deleted?.has(letter) === true) return undefined
  // A copy, that does not hold on to the batch it came in.
  const payload = new Uint8Array(letter.payload.subarray(0, KEPT_PAYLOAD_BYTES))
  return { letter: { ...letter, payload }, payloadBytes: letter.payload.byteLength, ...at }
}
