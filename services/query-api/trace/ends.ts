import { faultsOf, kindOf as kindOfLetter, type DeadLetter } from '../../../shared/dead-letter.ts'
import type { UploadedTable } from '../../../shared/codecs/uploaded-table.ts'
import { decodeRecords, SeriesTable } from '../../../shared/decoders/decode.ts'
import type { LocalReading } from '../../../shared/decoders/decoded.ts'
import { learn } from '../../../shared/decoders/learn.ts'
import type { Fault } from '../../../shared/faults.ts'
import type { PointStore } from '../../../shared/points/port.ts'
import { identityOf, isSameValue, storedValues } from '../../../shared/points/stored-values.ts'
import type { Registry } from '../../../shared/registry/port.ts'
import type { TombstoneView } from '../../../shared/registry/tombstones-port.ts'
import { concatenate, kindOf, type Instant, type PointBatch, type PointValue } from '../../../shared/telemetry.ts'
import { ownedPoints } from '../owned-points.ts'
import { Named } from '../replay/named.ts'
import { decoderOf } from './decoder-of.ts'
import type { Message } from './messages.ts'
import { inOtherHour, movedTo } from './moved.ts'

/**
 * What became of a point. `stored`: it is there. `merged`: it is, and an earlier message said the same. `superseded`: a
 * later message had another value for its place. `deleted`: somebody deleted it. `waiting`: it is in the log, and not
 * stored yet. `absent`: it was stored, and is not there any more: retention, unless data were lost.
 */
export const ENDS = ['stored', 'merged', 'superseded', 'deleted', 'waiting', 'absent'] as const
export type End = (typeof ENDS)[number]

/** A point of a message, and what became of it. */
export interface TracedPoint {
  readonly element: number
  /** Name of the device: a message may bring those of others. */
  readonly device: string
  readonly stream: string
  readonly field: string
  readonly kind: ReturnType<typeof kindOf>
  readonly time: Instant
  readonly value: PointValue
  readonly end: End
  /** What is in its place, where that is another value. */
  readonly inPlace?: PointValue
  /** Where it is stored under another time than its message alone says: the policy `same_time`, or an hour that comes twice. */
  readonly storedAt?: Instant
}

export interface TracedMessage extends Message {
  /** See {@link decoderOf}. */
  readonly decoder: string | null
  readonly points: readonly TracedPoint[]
  /** What was refused of it, now or when it was stored. */
  readonly faults: readonly Fault[]
  readonly faultCount: number
  /** What is doubtful of what was stored. */
  readonly warnings: readonly Fault[]
}

interface DecodedMessage extends Message {
  readonly decoder: string | null
  readonly batch: PointBatch
  readonly elements: readonly number[]
  readonly devices: readonly string[]
  readonly faults: readonly Fault[]
  readonly faultCount: number
  readonly warnings: readonly Fault[]
  readonly locals: readonly LocalReading[]
  /** What the letter says was refused when it was stored. */
  readonly refused: Named | undefined
}

export interface EndSources {
  readonly registry: Pick<Registry, 'decoders' | 'names' | 'policies' | 'tombstones'>
  readonly uploaded: UploadedTable
  readonly points: Pick<PointStore, 'query'>
}

/**
 * Decodes the messages of a device as the worker did, and looks for each point in the store. `committedIn`: the
 * offset below which all is stored of a partition. Errors: those of registry and store.
 */
export async function traceMessages(
  { registry, points, uploaded }: EndSources,
  messages: readonly Message[],
  letterOf: (message: Message) => DeadLetter | undefined,
  committedIn: (partition: number) => number,
): Promise<TracedMessage[]> {
  await registry.policies.known()
  const table = new SeriesTable({ uploaded })
  const decoded: DecodedMessage[] = []
  for (const message of messages) {
    await learn(table, [message.record], registry)
    decoded.push(decode(message, table, registry.names, letterOf(message)))
  }
  const all = concatenate(decoded.map(({ batch }) => batch))
  const stored = await storedValues(points, all)
  const deleted = await registry.tombstones.current()
  const seen = new Set<string>()
  const traced: TracedMessage[] = []
  let first = 0
  for (const message of decoded) {
    const { batch } = message
    const traces: TracedPoint[] = []
    for (const i of batch.series.keys()) {
      const identity = identityOf(all, first + i)
      const said = `${identity} ${String(batch.values[i])}`
      const found = {
        inPlace: stored[first + i],
        deleted,
        isRepeat: seen.has(said),
        committed: committedIn(message.partition),
      }
      const trace = await traceOf(points, message, i, found)
      seen.add(said)
      const isThere = trace.end === 'stored' || trace.end === 'merged'
      // It is among the faults.
      if (!isThere && message.refused?.has(trace.element, trace.field) === true) continue
      traces.push(trace)
    }
    first += batch.series.length
    const { partition, offset, record, decoder, faults, faultCount, warnings } = message
    traced.push({ partition, offset, record, decoder, points: traces, faults, faultCount, warnings })
  }
  return traced
}

function decode(
  message: Message,
  table: SeriesTable,
  names: Registry['names'],
  letter: DeadLetter | undefined,
): DecodedMessage {
  const { record } = message
  const decoded = decodeRecords([record], table)
  const { faults, suspects } = decoded
  const parts = ownedPoints(decoded, record.key, names)
  // What the store refused is known from the letter, which has what the decoder refused, too.
  const told = letter === undefined ? faults.get(0) : faultsOf(letter)
  const isWarning = letter !== undefined && kindOfLetter(letter) === 'warning'
  const refused = letter === undefined || isWarning ? faults.get(0) : told
  return {
    ...message,
    decoder: decoderOf(record, table),
    batch: concatenate(parts.map(({ points }) => points)),
    elements: parts.flatMap(({ element }) => element),
    devices: parts.flatMap(({ device, element }) => element.map(() => device)),
    faults: refused?.first ?? [],
    faultCount: refused?.total ?? 0,
    warnings: [
      ...suspects.map((one) => ({ element: one.element, path: null, code: one.code, detail: one.detail })),
      ...(isWarning ? (told?.first ?? []) : []),
    ],
    locals: decoded.locals ?? [],
    refused: refused === undefined ? undefined : new Named(refused),
  }
}

interface Found {
  readonly inPlace: PointValue | undefined
  readonly deleted: TombstoneView
  /** A message before it said the same. */
  readonly isRepeat: boolean
  readonly committed: number
}

async function traceOf(
  points: Pick<PointStore, 'query'>,
  message: DecodedMessage,
  i: number,
  { inPlace, deleted, isRepeat, committed }: Found,
): Promise<TracedPoint> {
  const { batch, record, offset } = message
  const series = batch.series[i]
  if (series === undefined) throw new RangeError(`no point ${i}`)
  const time = { ms: batch.ms[i] ?? 0, ns: batch.ns[i] ?? 0 }
  const value = batch.values[i] ?? 0
  const { stream, field } = series
  const kind = kindOf(series.type)
  const point = {
    element: message.elements[i] ?? 0,
    device: message.devices[i] ?? '',
    stream,
    field,
    kind,
    time,
    value,
  }
  if (inPlace !== undefined && isSameValue(inPlace, value)) return { ...point, end: isRepeat ? 'merged' : 'stored' }
  if (deleted.covers(series, time, record.ms)) return { ...point, end: 'deleted' }
  const local = message.locals.find(({ element, ms }) => element === point.element && ms === time.ms)
  const turnedTo = local === undefined ? undefined : await inOtherHour(points, point, series, local.other)
  if (turnedTo !== undefined) return { ...point, end: 'stored', storedAt: turnedTo }
  if (inPlace === undefined) return { ...point, end: offset >= committed ? 'waiting' : 'absent' }
  const storedAt = await movedTo(points, point, series, record)
  if (storedAt !== undefined) return { ...point, end: 'stored', storedAt }
  return { ...point, end: offset >= committed ? 'waiting' : 'superseded', inPlace }
}
