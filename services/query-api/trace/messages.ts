import type { TelemetryLog } from '../../../shared/log/port.ts'
import type { LogRecord } from '../../../shared/telemetry.ts'

/** Records of a partition that are looked at for one answer: others of its devices lie between those of one. */
const MAX_SCANNED = 200_000
const BATCH_RECORDS = 1_000
/** Bytes of payloads of one answer, about. */
const MAX_BYTES = 4 * 1024 * 1024

/** A record of the log and where it lies. */
export interface Message {
  readonly partition: number
  readonly offset: number
  readonly record: LogRecord
}

export interface Messages {
  readonly found: readonly Message[]
  /** Offset behind the last record that was looked at: where the next answer goes on. */
  readonly position: number
  /** Nothing lay behind it when reading began. */
  readonly isEnd: boolean
}

export interface MessageQuery {
  readonly key: string
  readonly partition: number
  /** An offset, or a receive time in ms. */
  readonly from: { readonly offset: number } | { readonly ms: number }
  /** Receive time in ms, exclusive. */
  readonly toMs: number
  readonly limit: number
}

/** The records of one key, in the order of the log. Bounded: one answer may have few, and say where to go on. */
export async function messagesOf(
  log: Pick<TelemetryLog, 'read' | 'offsets'>,
  { key, partition, from, toMs, limit }: MessageQuery,
  signal: AbortSignal,
): Promise<Messages> {
  const { end = 0 } = (await log.offsets('telemetry.raw')).find((one) => one.partition === partition) ?? {}
  const found: Message[] = []
  let [position, scanned, bytes] = ['offset' in from ? Math.min(from.offset, end) : end, 0, 0]
  const start = 'offset' in from ? from : { time: { ms: from.ms, ns: 0 } }
  const options = { topic: 'telemetry.raw', partition, from: start, maxRecords: BATCH_RECORDS, follow: false } as const
  for await (const { firstOffset, records } of log.read({ ...options, signal })) {
    for (const [i, record] of records.entries()) {
      position = firstOffset + i + 1
      if (record.key !== key || record.ms >= toMs) continue
      // A copy, that does not hold on to the batch it came in.
      found.push({ partition, offset: position - 1, record: { ...record, value: new Uint8Array(record.value) } })
      bytes += record.value.length
      if (found.length >= limit || bytes >= MAX_BYTES) return { found, position, isEnd: position >= end }
    }
    scanned += records.length
    if (scanned >= MAX_SCANNED || position >= end) break
  }
  signal.throwIfAborted()
  return { found, position, isEnd: position >= end }
}
