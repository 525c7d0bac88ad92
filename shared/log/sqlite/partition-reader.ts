import type { LogRecord } from '../../telemetry.ts'
import type { LogBatch, LogGap, LogTopic } from '../port.ts'
import { BatchCursor } from '../record-format.ts'
import type { LogThread, StoredRow } from './messages.ts'
import type { PartitionView } from './partition-view.ts'

/** A batch ends behind the record that passes this, so that its reader's memory has a bound too. */
const BATCH_BYTES = 4 * 1024 * 1024

interface PartitionReaderOptions {
  readonly client: LogThread
  readonly log: string
  readonly view: PartitionView
  readonly topic: LogTopic
  readonly partition: number
  /** Records that should be there are gone: retention never removes what a group has not read. */
  readonly onGap?: (gap: LogGap) => void
}

/** Reads one partition forwards: from the newest rows in memory where they reach, else from the files. */
export class PartitionReader {
  position: number
  readonly #options: PartitionReaderOptions
  readonly #fetched: StoredRow[] = []
  #cursor: BatchCursor | undefined

  constructor(position: number, options: PartitionReaderOptions) {
    this.position = position
    this.#options = options
  }

  /** Up to `maxRecords` records; undefined when the end is reached. Errors: `log_corrupt`, `log_unavailable`, `closed`. */
  async next(maxRecords: number): Promise<LogBatch | undefined> {
    if (!this.#hasRow() && !(await this.#fetch(maxRecords))) return undefined
    const { topic, log, partition } = this.#options
    const firstOffset = this.position
    const records: LogRecord[] = []
    let bytes = 0
    // Rows that would have to be fetched first can wait for the next batch.
    while (records.length < maxRecords && bytes < BATCH_BYTES && this.#hasRow()) {
      const cursor = this.#cursor
      if (cursor === undefined) break
      while (cursor.remaining > 0 && records.length < maxRecords && bytes < BATCH_BYTES) {
        const record = cursor.next()
        records.push(record)
        bytes += record.value.byteLength
        this.position++
      }
    }
    return { topic, log, partition, firstOffset, records }
  }

  /** Makes the row that holds the position the current one, if it is at hand. */
  #hasRow(): boolean {
    if (this.#cursor !== undefined && this.#cursor.remaining > 0) return true
    this.#cursor = undefined
    const row = this.#fetched[0]
    // Behind a fetched row there may be a hole: then the next fetch tells of it.
    const isNext = row !== undefined && row.firstOffset <= this.position
    const found = isNext ? this.#fetched.shift() : this.#options.view.tail.find(this.position)
    if (found === undefined) return false
    this.#cursor = new BatchCursor(found.packed)
    this.#cursor.skip(this.position - found.firstOffset)
    return this.#cursor.remaining > 0
  }

  async #fetch(records: number): Promise<boolean> {
    const { client, view, topic, partition } = this.#options
    view.check()
    if (this.position >= view.end) return false
    const { from, rows } = await client.ask('read', { topic, partition, offset: this.position, records })
    if (from > this.position) {
      await this.#tellGap(from, rows[0])
      this.position = from
    }
    this.#fetched.splice(0, this.#fetched.length, ...rows)
    return this.#hasRow()
  }

  async #tellGap(next: number, behind: StoredRow | undefined): Promise<void> {
    const { client, log, topic, partition, onGap } = this.#options
    if (onGap === undefined) return
    const from = this.position
    const before = await client.ask('read', { topic, partition, offset: Math.max(0, from - 1), records: 1 })
    const isThere = from > 0 && before.from === from - 1
    const beforeMs = isThere ? receiveMs(before.rows[0], from - 1) : undefined
    const places = { partition, log, from, lost: next - from, next }
    onGap({ reason: 'damage', ...places, beforeMs, behindMs: receiveMs(behind, next) })
  }
}

/** Receive time of the record at an offset that lies in the row. */
function receiveMs(row: StoredRow | undefined, offset: number): number | undefined {
  if (row === undefined) return undefined
  const cursor = new BatchCursor(row.packed)
  cursor.skip(offset - row.firstOffset)
  return cursor.remaining > 0 ? cursor.peekTime().ms : undefined
}
