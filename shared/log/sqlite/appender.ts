import { SluiceError } from '../../errors.ts'
import type { LogRecord } from '../../telemetry.ts'
import { partitionOf } from '../partition.ts'
import type { Room } from '../../storage/room.ts'
import type { LogTopic } from '../port.ts'
import { BatchPacker } from '../record-format.ts'
import type { LogMetrics } from '../log-metrics.ts'
import type { LogThread, PackedRow, StoredRow } from './messages.ts'
import type { PartitionView } from './partition-view.ts'

/** A row ends here, which bounds the memory of a reader; a single record may be larger. */
const ROW_BYTES = 1024 * 1024
/** A transaction ends here: beyond it the fsync is a small part of the cost. */
const TRANSACTION_BYTES = 1024 * 1024
/** Transactions under way: while one is committed the next may travel, if it is worth one of its own. */
const MAX_IN_FLIGHT = 2
const WORTH_ITS_OWN_BYTES = 256 * 1024
/** Records that wait for the disk; the broker stops reading sockets long before (16 MB per node). */
const MAX_WAITING_BYTES = 64 * 1024 * 1024
const FIRST_ROW_CAPACITY = 4096

interface Row {
  readonly partition: number
  readonly packer: BatchPacker
}

/** The first record of an append in a partition: its row in the transaction, and its place in the row. */
interface Spot {
  readonly partition: number
  readonly row: number
  readonly index: number
}

interface Append {
  readonly spots: readonly Spot[]
  readonly records: number
  readonly bytes: number
  readonly startedMs: number
  readonly resolve: (offsets: ReadonlyMap<number, number>) => void
  readonly reject: (error: unknown) => void
}

interface Transaction {
  readonly rows: Row[]
  /** Index of the row that a partition's records go to. */
  readonly current: (number | undefined)[]
  readonly appends: Append[]
  bytes: number
}

interface AppenderOptions {
  readonly topic: LogTopic
  readonly views: readonly PartitionView[]
  readonly client: LogThread
  readonly metrics: LogMetrics
  readonly room: Room
}

/**
 * Group commit for one topic. Records are packed as they come, into one row per partition and transaction; whatever was
 * packed while a commit was under way goes into the next one.
 */
export class Appender {
  readonly #options: AppenderOptions
  readonly #partitions: number
  readonly #waiting: Transaction[] = []
  #inFlight = 0
  #waitingBytes = 0
  #isFlushDue = false
  #rowCapacity = FIRST_ROW_CAPACITY
  #idle: (() => void)[] = []

  constructor(options: AppenderOptions) {
    this.#options = options
    this.#partitions = options.views.length
  }

  /** As {@link TelemetryLog.append}. */
  append(records: readonly LogRecord[]): Promise<ReadonlyMap<number, number>> {
    if (records.length === 0) return Promise.resolve(new Map())
    const { metrics } = this.#options
    if (this.#waitingBytes > MAX_WAITING_BYTES) {
      metrics.refused('log_unavailable')
      const message = `${this.#waitingBytes} bytes are already waiting for the disk`
      return Promise.reject(new SluiceError('log_unavailable', message))
    }
    return new Promise((resolve, reject) => {
      const transaction = this.#open()
      try {
        const { spots, bytes } = this.#pack(transaction, records)
        const startedMs = performance.now()
        transaction.appends.push({ spots, records: records.length, bytes, startedMs, resolve, reject })
        transaction.bytes += bytes
        this.#waitingBytes += bytes
        metrics.waiting(this.#waitingBytes)
      } catch (error) {
        // Not a record at all: what was packed of it must not be stored, and cannot be taken out again.
        this.#waiting.pop()
        this.#settle(transaction)
        for (const append of transaction.appends) append.reject(error)
        reject(error instanceof Error ? error : new Error(String(error)))
      }
      this.#flushSoon()
    })
  }

  /** Resolves when nothing waits any more. */
  async drain(): Promise<void> {
    if (this.#waitingBytes > 0) await new Promise<void>((resolve) => this.#idle.push(resolve))
  }

  #open(): Transaction {
    const last = this.#waiting.at(-1)
    if (last !== undefined && last.bytes < TRANSACTION_BYTES) return last
    const transaction: Transaction = { rows: [], current: [], appends: [], bytes: 0 }
    this.#waiting.push(transaction)
    return transaction
  }

  #pack({ rows, current }: Transaction, records: readonly LogRecord[]): { spots: Spot[]; bytes: number } {
    const spots: Spot[] = []
    const isSeen: boolean[] = []
    let bytes = 0
    for (const record of records) {
      const partition = partitionOf(record.key, this.#partitions)
      let index = current[partition]
      let row = index === undefined ? undefined : rows[index]
      if (index === undefined || row === undefined || row.packer.byteLength >= ROW_BYTES) {
        index = rows.length
        row = { partition, packer: new BatchPacker(this.#rowCapacity) }
        rows.push(row)
        current[partition] = index
      }
      if (isSeen[partition] !== true) {
        isSeen[partition] = true
        spots.push({ partition, row: index, index: row.packer.count })
      }
      bytes += row.packer.add(record)
    }
    return { spots, bytes }
  }

  /** Appends of one turn of the event loop share a transaction. */
  #flushSoon(): void {
    if (this.#isFlushDue) return
    this.#isFlushDue = true
    queueMicrotask(() => {
      this.#isFlushDue = false
      this.#flush()
    })
  }

  #flush(): void {
    for (let next = this.#waiting[0]; next !== undefined; next = this.#waiting[0]) {
      const isWorthIt = this.#inFlight === 0 || next.bytes >= WORTH_ITS_OWN_BYTES
      if (this.#inFlight >= MAX_IN_FLIGHT || !isWorthIt) return
      this.#waiting.shift()
      this.#inFlight++
      void this.#post(next)
    }
  }

  async #post(transaction: Transaction): Promise<void> {
    const { client, topic, metrics, room } = this.#options
    const rows: PackedRow[] = transaction.rows.map(({ partition, packer }) => {
      return { partition, records: packer.count, ms: packer.ms, ns: packer.ns, packed: packer.finish() }
    })
    const longest = Math.max(...rows.map(({ packed }) => packed.byteLength))
    // The next rows will be about as long: a power of two saves most of the growing.
    this.#rowCapacity = Math.max(FIRST_ROW_CAPACITY, Math.min(ROW_BYTES, 2 ** Math.ceil(Math.log2(longest))))
    try {
      room.check(transaction.bytes)
      const buffers = rows.map(({ packed }) => packed.buffer)
      const answer = await client.ask('append', { topic, rows }, buffers)
      metrics.diskBytes(answer.diskBytes)
      this.#accept(transaction, rows, answer.rows)
    } catch (error) {
      for (const append of transaction.appends) {
        metrics.refused(error instanceof SluiceError ? error.code : 'internal')
        append.reject(error)
      }
    }
    this.#inFlight--
    this.#settle(transaction)
    this.#flush()
  }

  #accept(transaction: Transaction, rows: readonly PackedRow[], stored: readonly StoredRow[]): void {
    const { views, metrics } = this.#options
    for (const [index, row] of stored.entries()) {
      const sent = rows[index]
      if (sent !== undefined) views[sent.partition]?.advance(row, { ms: sent.ms, ns: sent.ns })
    }
    const now = performance.now()
    for (const append of transaction.appends) {
      metrics.appended(append.records, append.bytes, (now - append.startedMs) / 1000)
      const offset = (spot: Spot): number => (stored[spot.row]?.firstOffset ?? 0) + spot.index
      append.resolve(new Map(append.spots.map((spot) => [spot.partition, offset(spot)])))
    }
  }

  #settle({ bytes }: Transaction): void {
    this.#waitingBytes -= bytes
    this.#options.metrics.waiting(this.#waitingBytes)
    if (this.#waitingBytes > 0) return
    for (const resolve of this.#idle.splice(0)) resolve()
  }
}
