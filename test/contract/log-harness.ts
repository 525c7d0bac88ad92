import { onTestFinished } from 'vitest'
import { SluiceError } from '../../shared/errors.ts'
import type { ConsumeOptions, LogBatch, LogTopic, Position, ReadOptions, TelemetryLog } from '../../shared/log/port.ts'
import type { LogRecord } from '../../shared/telemetry.ts'

/** One set of data, which each test gets anew and may open several times, one after the other. */
export interface LogHarness {
  /** Three partitions. */
  open(): Promise<TelemetryLog>
}

export type MakeLogHarness = () => Promise<LogHarness>

export const PARTITIONS = 3
export const RAW: LogTopic = 'telemetry.raw'

/** Names that some store somewhere takes for equal. */
export const SIMILAR_KEYS = [
  'acme/pump-1',
  'acme/Pump-1',
  'acme/pump-1 ',
  'acme/pümp-1',
  'acme/pu\u0308mp-1',
  'ACME/pump-1',
]

export function record(key: string, text: string, ms = 1_700_000_000_000, ns = 0): LogRecord {
  return { key, value: Buffer.from(text), ms, ns, headers: undefined }
}

/** Keys of the harness's log that fall into each partition. */
export function keyIn(log: TelemetryLog, partition: number): string {
  for (let i = 0; ; i++) if (log.partitionOf(`acme/device-${i}`) === partition) return `acme/device-${i}`
}

export function textsOf(batches: readonly LogBatch[]): string[] {
  return batches.flatMap(({ records }) => records.map(({ value }) => Buffer.from(value).toString()))
}

export async function readAll(
  log: TelemetryLog,
  partition: number,
  options: Partial<ReadOptions> = {},
): Promise<LogBatch[]> {
  const batches: LogBatch[] = []
  const defaults = {
    topic: RAW,
    from: { offset: 0 },
    maxRecords: 1000,
    follow: false,
    signal: new AbortController().signal,
  }
  for await (const batch of log.read({ ...defaults, partition, ...options })) batches.push(batch)
  return batches
}

export async function openLog(harness: LogHarness): Promise<TelemetryLog> {
  const log = await harness.open()
  onTestFinished(() => log.close())
  return log
}

/** A consumer that keeps what it gets; `until` resolves when `count` records have arrived. */
export async function startConsumer(
  log: TelemetryLog,
  options: Partial<ConsumeOptions> = {},
): Promise<{
  batches: LogBatch[]
  until(count: number): Promise<void>
  commit(positions: readonly Position[]): Promise<void>
  close(): Promise<void>
}> {
  const batches: LogBatch[] = []
  let failure: SluiceError | undefined
  let wake = (): void => {}
  const consumer = await log.consume({
    topic: RAW,
    group: 'worker',
    maxRecords: 100,
    onError(error) {
      failure = error
      wake()
    },
    async onBatch(batch) {
      batches.push(batch)
      wake()
    },
    ...options,
  })
  onTestFinished(() => consumer.close())
  return {
    batches,
    async until(count) {
      while (batches.reduce((sum, { records }) => sum + records.length, 0) < count) {
        if (failure !== undefined) throw failure
        await new Promise<void>((resolve) => (wake = resolve))
      }
    },
    commit: (positions) => consumer.commit(positions),
    close: () => consumer.close(),
  }
}

export async function codeOf(promise: Promise<unknown>): Promise<string> {
  try {
    await promise
    return 'no error'
  } catch (error) {
    return error instanceof SluiceError ? error.code : String(error)
  }
}
