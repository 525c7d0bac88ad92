import type { TelemetryLog } from '../../shared/log/port.ts'
import type { LogRecord } from '../../shared/telemetry.ts'

/** Dead letters in memory at a time; one may hold a whole payload. */
export const WINDOW = 200

/** One partition read backwards, a window at a time. */
export class LetterReader {
  readonly partition: number
  readonly #log: TelemetryLog
  readonly #start: number
  #window: { offset: number; record: LogRecord }[] = []
  /** Lowest offset that was fetched. */
  #low: number
  /** Lowest offset that was taken: where the next page begins, exclusive. */
  position: number

  constructor(log: TelemetryLog, partition: number, start: number, end: number) {
    this.#log = log
    this.partition = partition
    this.#start = start
    this.#low = end
    this.position = end
  }

  async peek(): Promise<LogRecord | undefined> {
    while (this.#window.length === 0 && this.#low > this.#start) {
      const high = this.#low
      this.#low = Math.max(this.#start, high - WINDOW)
      this.#window = await readWindow(this.#log, this.partition, this.#low, high)
    }
    return this.#window.at(-1)?.record
  }

  /** Moves behind the record that {@link peek} showed; its offset. */
  take(): number {
    const offset = this.#window.pop()?.offset ?? this.#start
    this.position = offset
    return offset
  }
}

/** Records from `low` (inclusive) to `high` (exclusive); fewer where retention took some meanwhile. */
export async function readWindow(
  log: TelemetryLog,
  partition: number,
  low: number,
  high: number,
): Promise<{ offset: number; record: LogRecord }[]> {
  const found: { offset: number; record: LogRecord }[] = []
  const signal = new AbortController().signal
  const from = { offset: low }
  const read = log.read({ topic: 'telemetry.dead-letter', partition, from, maxRecords: WINDOW, follow: false, signal })
  for await (const batch of read) {
    batch.records.forEach((record, index) => {
      const offset = batch.firstOffset + index
      if (offset >= low && offset < high) found.push({ offset, record })
    })
    if (batch.firstOffset + batch.records.length >= high) break
  }
  return found
}
