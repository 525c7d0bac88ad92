import type { FieldType, PointValue } from '../../telemetry.ts'
import { isNumeric } from '../aggregate.ts'
import { ByteReader, ByteWriter } from './bytes.ts'
import { toInteger, type Run } from './columns.ts'
import { ExactSum, type SumParts } from '../exact-sum.ts'

/** What a chunk says about its points without being opened; the count is kept beside it. */
export interface Summary {
  readonly first: PointValue
  readonly last: PointValue
  /** Only of floats and integers. */
  readonly numeric: { readonly min: number | bigint; readonly max: number | bigint; readonly sum: SumParts } | undefined
}

/** Undefined when it would be larger than it is worth: the chunk is opened instead. */
export function encodeSummary(type: FieldType, { values }: Run): Uint8Array | undefined {
  const first = values[0]
  const last = values.at(-1)
  if (first === undefined || last === undefined) return undefined
  if (type === 'string' && String(first).length + String(last).length > 200) return undefined
  const out = new ByteWriter()
  writeValue(out, type, first)
  writeValue(out, type, last)
  if (isNumeric(type)) writeNumeric(out, type, values as (number | bigint)[])
  return out.finish()
}

/** Inverse of {@link encodeSummary}. */
export function decodeSummary(type: FieldType, bytes: Uint8Array): Summary {
  const from = new ByteReader(bytes)
  const first = readValue(from, type)
  const last = readValue(from, type)
  if (!isNumeric(type)) return { first, last, numeric: undefined }
  const min = readValue(from, type) as number | bigint
  const max = readValue(from, type) as number | bigint
  return { first, last, numeric: { min, max, sum: { low: readParts(from), high: readParts(from) } } }
}

function writeNumeric(out: ByteWriter, type: FieldType, values: readonly (number | bigint)[]): void {
  const sum = new ExactSum()
  let min = values[0] ?? 0
  let max = min
  for (const value of values) {
    if (value < min) min = value
    if (value > max) max = value
    sum.addInteger(value)
  }
  writeValue(out, type, min)
  writeValue(out, type, max)
  for (const parts of [sum.parts.low, sum.parts.high]) {
    out.byte(parts.length)
    for (const part of parts) out.float64(part)
  }
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
