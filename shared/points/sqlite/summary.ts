import type { FieldType, PointValue } from '../../telemetry.ts'
import { isNumeric } from '../aggregate.ts'
import { ByteReader, ByteWriter } from './bytes.ts'
import { toInteger, type Run } from './columns.ts'
import { POWERS, scaled } from './decimals.ts'
import { ExactSum, type SumParts } from '../exact-sum.ts'

/** What a chunk says about its points without being opened; the count is kept beside it. */
export interface Summary {
  readonly first: PointValue
  readonly last: PointValue
  /** Only of floats and integers. */
  readonly numeric: { readonly min: number | bigint; readonly max: number | bigint; readonly sum: SumParts } | undefined
}

/** A summary as it is kept. */
export interface PackedSummary {
  /** 1 where the numbers are short decimals and kept as such; undefined where values are as they are, as in format 2. */
  readonly form: number | undefined
  readonly bytes: Uint8Array
}

const DECIMALS = 1

/** Undefined when it would be larger than it is worth: the chunk is opened instead. */
export function encodeSummary(type: FieldType, { values }: Run): PackedSummary | undefined {
  const first = values[0]
  const last = values.at(-1)
  if (first === undefined || last === undefined) return undefined
  if (type === 'string' && String(first).length + String(last).length > 200) return undefined
  const out = new ByteWriter()
  if (isNumeric(type)) return { form: writeNumeric(out, type, values as (number | bigint)[]), bytes: out.finish() }
  writeValue(out, type, first)
  writeValue(out, type, last)
  return { form: undefined, bytes: out.finish() }
}

/** Inverse of {@link encodeSummary}. Throws a RangeError for a form that nobody wrote. */
export function decodeSummary(type: FieldType, { form, bytes }: PackedSummary): Summary {
  if (form !== undefined && form !== DECIMALS) throw new RangeError(`unknown form ${form} of a summary`)
  const from = new ByteReader(bytes)
  if (form === DECIMALS) {
    const [first, last, min, max] = readDecimals(from)
    return { first, last, numeric: { min, max, sum: readSum(from) } }
  }
  const first = readValue(from, type)
  const last = readValue(from, type)
  if (!isNumeric(type)) return { first, last, numeric: undefined }
  const min = readValue(from, type) as number | bigint
  const max = readValue(from, type) as number | bigint
  return { first, last, numeric: { min, max, sum: readSum(from) } }
}

/** Gives the form. */
function writeNumeric(out: ByteWriter, type: FieldType, values: readonly (number | bigint)[]): number | undefined {
  const sum = new ExactSum()
  const first = values[0] ?? 0
  let min = first
  let max = first
  for (const value of values) {
    if (value < min) min = value
    if (value > max) max = value
    sum.addInteger(value)
  }
  const four = [first, values.at(-1) ?? 0, min, max]
  const form = writeDecimals(out, four) ? DECIMALS : undefined
  if (form === undefined) for (const value of four) writeValue(out, type, value)
  for (const parts of [sum.parts.low, sum.parts.high]) {
    out.byte(parts.length)
    for (const part of parts) out.float64(part)
  }
  return form
}

/** How many decimals, the first value as a whole number of the last of them, and how far the others are from it. */
function writeDecimals(out: ByteWriter, values: readonly (number | bigint)[]): boolean {
  for (const [decimals, power] of POWERS.entries()) {
    const wholes = values.map((value) => (typeof value === 'number' ? scaled(value, power) : undefined))
    if (wholes.includes(undefined)) continue
    out.byte(decimals)
    const first = wholes[0] ?? 0
    wholes.forEach((whole, i) => out.signed(i === 0 ? first : (whole ?? 0) - first))
    return true
  }
  return false
}

function readDecimals(from: ByteReader): [first: number, last: number, min: number, max: number] {
  const power = POWERS[from.byte()]
  if (power === undefined) throw new RangeError('unknown scale of a summary')
  const first = from.signed()
  const other = (): number => (first + from.signed()) / power
  return [first / power, other(), other(), other()]
}

function readSum(from: ByteReader): SumParts {
  return { low: readParts(from), high: readParts(from) }
}

function readParts(from: ByteReader): number[] {
  return Array.from({ length: from.byte() }, () => from.float64())
}

function writeValue(out: ByteWriter, type: FieldType, value: PointValue): void {
  switch (type) {
    case 'float':
      return out.float64(Number(value))
    case 'integer':
      return out.int64(BigInt(value))
    case 'boolean':
      return out.byte(value === true ? 1 : 0)
    case 'string':
      return out.text(String(value))
  }
}

function readValue(from: ByteReader, type: FieldType): PointValue {
  switch (type) {
    case 'float':
      return from.float64()
    case 'integer':
      return toInteger(from.int64())
    case 'boolean':
      return from.byte() === 1
    case 'string':
      return from.text()
  }
}
