import { RecordsTooLarge, type TelemetryLog } from '../../../shared/log/port.ts'
import type { LogRecord } from '../../../shared/telemetry.ts'

/** Who waits for a record to be durable. */
export interface Waiter {
  /** One record of this waiter is durable, in the order of `enqueue`; what follows from it waits for `settled`. */
  durable(): void
  /** In place of `durable`: the log will never take the record, and a dead letter says so. It is answered all the same. */
  refused(): void
  /** All of a batch is told: called once per batch for each waiter that was told of a record. */
  settled(): void
}

/** Resolves with what is too large for the log, when there is something: the rest is durable. */
export async function appendWhatFits(
  log: Pick<TelemetryLog, 'append'>,
  records: readonly LogRecord[],
): Promise<RecordsTooLarge | undefined> {
  try {
    await log.append('telemetry.raw', records)
    return undefined
  } catch (error) {
    if (error instanceof RecordsTooLarge) return error
    throw error
  }
}

/** The batch but for these. */
export function without({ records, topics }: Batch, gone: ReadonlySet<LogRecord>): Pick<Batch, 'records' | 'topics'> {
  const isKept = (record: LogRecord | undefined): boolean => record !== undefined && !gone.has(record)
  return { records: records.filter(isKept), topics: topics.filter((_topic, i) => isKept(records[i])) }
}

/** Records that go together, with the topic and who waits for each. */
export interface Batch {
  readonly records: LogRecord[]
  readonly topics: string[]
  readonly waiters: (Waiter | undefined)[]
  bytes: number
  /** Told when the append begins. */
  begun: ((atMs: number) => void)[] | undefined
}

export function newBatch(): Batch {
  return { records: [], topics: [], waiters: [], bytes: 0, begun: undefined }
}
