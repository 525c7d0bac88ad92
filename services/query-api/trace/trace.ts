import type { Cache } from '../../../shared/cache/port.ts'
import { INGEST_GROUP, type TelemetryLog } from '../../../shared/log/port.ts'
import type { UploadedTable } from '../../../shared/codecs/uploaded-table.ts'
import type { PointStore } from '../../../shared/points/port.ts'
import type { Registry } from '../../../shared/registry/port.ts'
import type { LogRecord } from '../../../shared/telemetry.ts'
import { deviceKey } from '../../../shared/topics.ts'
import { kindOf } from '../../../shared/dead-letter.ts'
import { isWatched, stagesKey, type WorkerStages } from '../../../shared/watch.ts'
import type { FoundLetter } from '../letter-reader.ts'
import { newestLetters } from '../letters.ts'
import { traceMessages, type TracedMessage } from './ends.ts'
import { messagesOf, type Message, type MessageQuery, type Messages } from './messages.ts'

/** Letters of the device that are looked through, the newest. */
const MAX_LETTERS = 1_000

export interface TraceQuery extends Pick<MessageQuery, 'from' | 'toMs' | 'limit'> {
  /** Where `from` is an offset; the present one by default. */
  readonly partition?: number | undefined
  readonly tenant: string
  readonly device: string
  /** Letters are of failures from then on, in ms. */
  readonly fromMs: number
}

export interface Trace {
  /** That of `position`. */
  readonly partition: number
  /** Offset below which everything is stored, or told in letters. */
  readonly committed: number
  readonly messages: readonly (TracedMessage & {
    readonly letter: FoundLetter | undefined
    /** Of a device under watch, as far as the cache has them. */
    readonly stages: WorkerStages | undefined
  })[]
  /** Connections and messages that were turned away before the log, newest first. */
  readonly refusals: readonly FoundLetter[]
  readonly position: number
  readonly isEnd: boolean
}

export interface TraceSources {
  readonly log: TelemetryLog
  readonly registry: Registry
  readonly points: PointStore
  readonly uploaded: UploadedTable
  readonly cache: Pick<Cache, 'getMany'>
}

/**
 * What became of every message of a device: read from the log, the store and the dead letters, so that nobody pays for it
 * who does not ask. A device that nobody made has no messages, and may have refusals. Errors: those of log, store and
 * registry.
 */
export async function trace(sources: TraceSources, query: TraceQuery, signal: AbortSignal): Promise<Trace> {
  const { log, registry } = sources
  const { tenant, device, fromMs } = query
  const key = deviceKey(tenant, registry.names.uidOf(tenant, device))
  // Before the records are read: what is committed later is looked for in the store, and found there.
  const lags = await log.lag('telemetry.raw', INGEST_GROUP)
  const committedIn = (partition: number): number => lags.find((one) => one.partition === partition)?.committed ?? 0
  const { found, partition, position, isEnd } = await messagesIn(log, key, query, signal)
  const filter = { tenant, device, fromMs: Math.min(fromMs, found[0]?.record.ms ?? fromMs) }
  const { letters } = await newestLetters(sources, { filter, limit: MAX_LETTERS, inTime: true })
  const bySource = new Map<string, FoundLetter>()
  for (const one of letters) {
    const { source, ms, ns } = one.letter
    if (source === undefined) continue
    const place = placeOf(source.partition, source.offset, { ms, ns })
    const known = bySource.get(place)
    if (known === undefined || kindOf(known.letter) === 'warning') bySource.set(place, one)
  }
  const letterOf = ({ partition: at, offset, record }: Message): FoundLetter | undefined =>
    bySource.get(placeOf(at, offset, record))
  const traced = await traceMessages(sources, found, (message) => letterOf(message)?.letter, committedIn)
  const stages = await stagesOf(sources.cache, found)
  return {
    ...{ partition, committed: committedIn(partition), position, isEnd },
    messages: traced.map((message) => {
      return { ...message, letter: letterOf(message), stages: stages.get(message.record) }
    }),
    refusals: letters.filter(({ letter }) => kindOf(letter) === 'refusal'),
  }
}

/** Those of the partition in which the device's records lay before there were more of them, and behind them the present ones. */
async function messagesIn(
  log: TelemetryLog,
  key: string,
  { partition, from, toMs, limit, fromMs }: TraceQuery,
  signal: AbortSignal,
): Promise<Messages & { readonly partition: number }> {
  const places = log.placesOf(key)
  const isOffset = 'offset' in from
  const first = isOffset ? Math.max(0, places.indexOf(partition ?? log.partitionOf(key))) : 0
  let [all, at]: [Messages, number] = [{ found: [], position: 0, isEnd: false }, 0]
  for (const [index, place] of places.slice(first).entries()) {
    const begin = isOffset && index > 0 ? { ms: fromMs } : from
    const query = { key, partition: place, from: begin, toMs, limit: limit - all.found.length }
    const next = await messagesOf(log, query, signal)
    ;[all, at] = [{ ...next, found: [...all.found, ...next.found] }, place]
    if (!next.isEnd || all.found.length >= limit) break
  }
  return { ...all, partition: at, isEnd: all.isEnd && at === places.at(-1) }
}

async function stagesOf(
  cache: Pick<Cache, 'getMany'>,
  messages: readonly Message[],
): Promise<ReadonlyMap<LogRecord, WorkerStages>> {
  const watched = messages.flatMap(({ record }) => (isWatched(record) ? record : []))
  const found = watched.length === 0 ? [] : await cache.getMany(watched.map(stagesKey))
  // Our own text.
  const entries = watched.flatMap((record, i): [LogRecord, WorkerStages][] => {
    const text = found[i]
    return text === undefined ? [] : [[record, JSON.parse(text) as WorkerStages]]
  })
  return new Map(entries)
}

/** With the stamp, which no record of another log has at the same place. */
function placeOf(partition: number, offset: number, { ms, ns }: { readonly ms: number; readonly ns: number }): string {
  return `${partition}/${offset} ${ms}.${ns}`
}
