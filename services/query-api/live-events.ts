import Type, { type Static } from 'typebox'
import type { Decoded, Suspect } from '../../shared/decoders/decode.ts'
import { KEPT_PAYLOAD_BYTES, type DeadLetter } from '../../shared/dead-letter.ts'
import { Faults } from '../../shared/faults.ts'
import type { DeviceNames } from '../../shared/registry/names-port.ts'
import { formatInstant, type LogRecord, type PointValue } from '../../shared/telemetry.ts'
import { DEFAULT_STREAM, formatTelemetryTopic } from '../../shared/topics.ts'
import { ReceiveClockView, viewClock, viewLetter, type LetterView } from './letter-view.ts'
import { ownerOf } from './owners.ts'
import { Value } from './time.ts'

/** A reading as it passed, whatever the store says to it later. */
export const ReadingView = Type.Object({
  tenant: Type.String(),
  device: Type.String(),
  stream: Type.String(),
  time: Type.String({ format: 'date-time' }),
  receivedAt: Type.String({ format: 'date-time' }),
  clock: ReceiveClockView,
  values: Type.Record(Type.String(), Value),
})
type ReadingView = Static<typeof ReadingView>

/** Readings out of decoded columns, in their order, each with the index of its record and its place in the payload. */
export function* decodedReadings(
  records: readonly LogRecord[],
  { points, record, element }: Decoded,
  names: DeviceNames,
): Generator<{ record: number; element: number; view: ReadingView }> {
  const { ms, ns } = points
  // A reading within another one may have a time of its own.
  const isSameReading = (a: number, b: number) =>
    record[a] === record[b] && element[a] === element[b] && ms[a] === ms[b] && ns[a] === ns[b]
  let from = 0
  for (let to = 1; to <= record.length; to += 1) {
    if (to < record.length && isSameReading(from, to)) continue
    const source = records[record[from] ?? 0]
    const series = points.series[from]
    if (source !== undefined && series !== undefined) {
      const values: [string, Static<typeof Value>][] = []
      for (let at = from; at < to; at += 1)
        values.push([points.series[at]?.field ?? '', jsonValue(points.values[at] ?? '')])
      const { tenant, stream } = series
      const device = ownerOf(names, source.key, source.headers?.['topic'])?.device ?? series.device
      const time = formatInstant({ ms: points.ms[from] ?? 0, ns: points.ns[from] ?? 0 })
      // Object.fromEntries defines properties: a field named __proto__ stays a field.
      const view = {
        tenant,
        device,
        stream,
        time,
        receivedAt: formatInstant(source),
        ...viewClock(source),
        values: Object.fromEntries(values),
      }
      yield { record: record[from] ?? 0, element: element[from] ?? 0, view }
    }
    from = to
  }
}

/** A reading that was stored although something about it is odd, in the form of a dead letter. */
export function viewWarning(
  record: LogRecord,
  at: { partition: number; offset: number },
  { element, code, detail }: Suspect,
  names: DeviceNames,
): LetterView {
  const owner = ownerOf(names, record.key, record.headers?.['topic'])
  const topic = owner === undefined ? undefined : formatTelemetryTopic({ ...owner, stream: DEFAULT_STREAM })
  const letter: DeadLetter = {
    kind: 'warning',
    stage: 'decode',
    code,
    detail,
    faults: Faults.of([{ element, path: null, code, detail }]),
    who: record.key,
    topic: record.headers?.['topic'] ?? topic,
    key: record.key,
    payload: record.value.subarray(0, KEPT_PAYLOAD_BYTES),
    ms: record.ms,
    ns: record.ns,
    scheme: record.scheme,
    source: at,
    firstFailedMs: record.ms,
    attempts: 1,
  }
  const view = viewLetter({ letter, payloadBytes: record.value.byteLength, ...at }, names)
  // Something of the same record may be refused as well, and each of its readings may be suspect.
  return { ...view, id: `warning/${view.id}/${element}` }
}

/**
 * A value as JSON can hold it: integers beyond 2^53 as text, other numbers beyond it with an exponent. Without one, readers
 * whose integers have no bound would take the shortest digits of a double for all of its digits. A sum beyond the doubles, which
 * JSON has no number for, is the text `Infinity` or `-Infinity`.
 */
export function jsonValue(value: PointValue): Static<typeof Value> {
  if (typeof value === 'bigint') return String(value)
  if (typeof value !== 'number' || !(Math.abs(value) > Number.MAX_SAFE_INTEGER)) return value
  if (!Number.isFinite(value)) return String(value)
  // A number to whoever reads the JSON, which is the only thing that is done with it.
  return rawJSON(value.toExponential()) as number
}

/** https://tc39.es/proposal-json-parse-with-source/, which TypeScript's library does not have yet. */
const { rawJSON } = JSON as unknown as { rawJSON: (text: string) => unknown }
