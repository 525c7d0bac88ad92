import { INGEST_GROUP, type TelemetryLog } from '../../../shared/log/port.ts'
import type { PointStore } from '../../../shared/points/port.ts'
import type { Registry } from '../../../shared/registry/port.ts'
import type { LogRecord } from '../../../shared/telemetry.ts'
import { deviceKey } from '../../../shared/topics.ts'
import { kindOf } from '../../../shared/dead-letter.ts'
import type { FoundLetter } from '../letter-reader.ts'
import { newestLetters } from '../letters.ts'
import { traceMessages, type TracedMessage } from './ends.ts'
import { messagesOf, type MessageQuery } from './messages.ts'

/** Letters of the device that are looked through, the newest. */
const MAX_LETTERS = 1_000

export interface TraceQuery extends Pick<MessageQuery, 'from' | 'toMs' | 'limit'> {
  readonly tenant: string
  readonly device: string
  /** Letters are of failures from then on, in ms. */
  readonly fromMs: number
}

export interface Trace {
  readonly partition: number
  /** Offset below which everything is stored, or told in letters. */
  readonly committed: number
  readonly messages: readonly (TracedMessage & { readonly letter: FoundLetter | undefined })[]
  /** Connections and messages that were turned away before the log, newest first. */
  readonly refusals: readonly FoundLetter[]
  readonly position: number
  readonly isEnd: boolean
}

export interface TraceSources {
  readonly log: TelemetryLog
  readonly registry: Registry
  readonly points: PointStore
}

/**
 * What became of every message of a device: read from the log, the store and the dead letters, so that nobody pays for it
 * who does not ask. A device that nobody made has no messages, and may have refusals. Errors: those of log, store and
 * registry.
 */
export async function trace(sources: TraceSources, query: TraceQuery, signal: AbortSignal): Promise<Trace> {
  const { log, registry } = sources
  const { tenant, device, from, toMs, fromMs, limit } = query
  const key = deviceKey(tenant, registry.names.uidOf(tenant, device))
  const partition = log.partitionOf(key)
  // Before the records are read: what is committed later is looked for in the store, and found there.
  const lags = await log.lag('telemetry.raw', INGEST_GROUP)
  const committed = lags.find((one) => one.partition === partition)?.committed ?? 0
  const { found, position, isEnd } = await messagesOf(log, { key, partition, from, toMs, limit }, signal)
  const filter = { tenant, device, fromMs: Math.min(fromMs, found[0]?.record.ms ?? fromMs) }
  const { letters } = await newestLetters(sources, { filter, limit: MAX_LETTERS })
  const bySource = new Map<string, FoundLetter>()
  for (const one of letters) {
    const { source, ms, ns } = one.letter
    if (source === undefined) continue
    const place = placeOf(source.partition, source.offset, { ms, ns })
    const known = bySource.get(place)
    if (known === undefined || kindOf(known.letter) === 'warning') bySource.set(place, one)
  }
  const letterOf = ({ offset, record }: { offset: number; record: LogRecord }): FoundLetter | undefined =>
    bySource.get(placeOf(partition, offset, record))
  const traced = await traceMessages(sources, found, (message) => letterOf(message)?.letter, committed)
  return {
    ...{ partition, committed, position, isEnd },
    messages: traced.map((message) => ({ ...message, letter: letterOf(message) })),
    refusals: letters.filter(({ letter }) => kindOf(letter) === 'refusal'),
  }
}

/** With the stamp, which no record of another log has at the same place. */
function placeOf(partition: number, offset: number, { ms, ns }: { readonly ms: number; readonly ns: number }): string {
  return `${partition}/${offset} ${ms}.${ns}`
}
