/**
 * The canonical form: readings of a device that came in a record of somebody else, as the worker that found them hands
 * them on to the one that owns the device. A record with the header `form` is decoded by this file alone, whatever formats,
 * policies and names have become in the meantime. JSON, so that people can read it in a dead letter:
 *
 *     {"stream":"telemetry","readings":[[ms,ns,["temperature","number",21.5],["on","boolean",true]],...]}
 *
 * Per reading its time, then field, kind and value. `number`: a double, as the shortest digits that are it, -0 as text;
 * `integer`: a whole number that no double holds, its digits as text; `boolean`; `text`.
 */
import type { FieldType, LogRecord, PointBatch, PointValue } from '../telemetry.ts'
import type { DecodedColumns } from './decoded.ts'
import type { StreamSeries } from './series.ts'

/** What the header `form` says. */
export const FORM = '1'

/** From this size on what is left goes into another record. */
const ENOUGH_CHARACTERS = 64 * 1024

const TYPES: Readonly<Record<string, FieldType>> = {
  number: 'float',
  integer: 'float',
  boolean: 'boolean',
  text: 'string',
}

/** The points as values of records, each of some readings or parts of them; in their order. */
export function* encodeHandedOn(stream: string, points: PointBatch): Generator<Uint8Array> {
  const { series, ms, ns, values } = points
  const head = `{"stream":${JSON.stringify(stream)},"readings":[`
  let text = ''
  for (let i = 0; i < series.length; i++) {
    const isNext = text !== '' && ms[i] === ms[i - 1] && ns[i] === ns[i - 1]
    const field = `[${JSON.stringify(series[i]?.field)},${encodeValue(values[i] ?? 0)}]`
    if (isNext) text += `,${field}`
    else text += `${text === '' ? '' : '],'}[${ms[i]},${ns[i]},${field}`
    if (text.length < ENOUGH_CHARACTERS && i < series.length - 1) continue
    yield Buffer.from(`${head}${text}]]}`)
    text = ''
  }
}

function encodeValue(value: PointValue): string {
  if (typeof value === 'bigint') return `"integer","${value}"`
  if (typeof value === 'boolean') return `"boolean",${value}`
  if (typeof value === 'string') return `"text",${JSON.stringify(value)}`
  return `"number",${Object.is(value, -0) ? '"-0"' : Number.isFinite(value) ? value : `"${value}"`}`
}

/**
 * Appends to `out` what a record in the canonical form holds; `seriesOf` gives the series of its stream. Gives what is
 * wrong where it is none, or is of a form that is not known here.
 */
export function decodeHandedOn(
  { headers, value }: LogRecord,
  index: number,
  seriesOf: (stream: string) => StreamSeries | string,
  out: DecodedColumns,
): string | undefined {
  const form = headers?.['form']
  if (form !== FORM) return `the form ${JSON.stringify(form)} is not known here; this Sluice knows ${FORM}`
  const parsed = parse(value)
  if (parsed === undefined) return 'a record that was handed on is not as it was made'
  const series = seriesOf(parsed.stream)
  if (typeof series === 'string') return series
  for (const [element, [ms, ns, ...fields]] of parsed.readings.entries()) {
    for (const [field, kind, written] of fields) {
      out.push(series.get(field, TYPES[kind] ?? 'string'), decodeValue(kind, written))
    }
    out.endReading(index, element, ms, ns)
  }
  return undefined
}

type Written = string | number | boolean
type Reading = readonly [ms: number, ns: number, ...fields: (readonly [string, string, Written])[]]

/** Undefined for what {@link encodeHandedOn} never makes. */
function parse(value: Uint8Array): { stream: string; readings: readonly Reading[] } | undefined {
  let parsed: unknown
  try {
    parsed = JSON.parse(Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('utf8'))
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
  if (typeof parsed !== 'object' || parsed === null) return undefined
  const { stream, readings } = parsed as Record<string, unknown>
  if (typeof stream !== 'string' || !Array.isArray(readings)) return undefined
  return readings.every(isReading) ? { stream, readings } : undefined
}

function isReading(reading: unknown): reading is Reading {
  if (!Array.isArray(reading)) return false
  const [ms, ns, ...fields] = reading as unknown[]
  return Number.isSafeInteger(ms) && Number.isSafeInteger(ns) && fields.length > 0 && fields.every(isField)
}

function isField(field: unknown): boolean {
  if (!Array.isArray(field) || field.length !== 3) return false
  const [name, kind, value] = field as unknown[]
  if (typeof name !== 'string') return false
  if (kind === 'number') return typeof value === 'number' || (typeof value === 'string' && value !== '')
  if (kind === 'integer') return typeof value === 'string' && /^-?\d+$/.test(value)
  return kind === 'boolean' ? typeof value === 'boolean' : kind === 'text' && typeof value === 'string'
}

function decodeValue(kind: string, written: Written): PointValue {
  if (kind === 'integer') return BigInt(written)
  return kind === 'number' ? Number(written) : written
}
