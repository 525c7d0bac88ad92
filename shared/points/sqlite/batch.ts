import type { FieldType, PointValue } from '../../telemetry.ts'
import { ByteReader, ByteWriter } from './bytes.ts'

/**
 * One written batch as it crosses to the thread and lies in the hot database: columns of machine numbers behind a
 * header of four words (format, points, flags, bytes of extras). Little-endian, as every platform of Node is but s390x.
 */
const FORMAT = 1
const HEADER = 16
const WITH_NS = 1

/** Points of one part of a batch; larger batches are split, so that no row grows without bound. */
export const PART_POINTS = 65_536

/** From this magnitude on the number of an integer series says which extra holds it: 2^53 + 2 * index. */
const BOXED = 2 ** 53

/** Values that no double holds: strings, and integers beyond 2^53. Others refer to them by index. */
export type Extra = string | bigint

/** The columns of a batch, over the bytes that hold them. */
export interface PackedBatch {
  readonly bytes: Uint8Array<ArrayBuffer>
  readonly count: number
  readonly ms: Float64Array
  readonly values: Float64Array
  /** What the sender calls the series on its way; the numeric id of the series once it is stored. */
  readonly series: Uint32Array
  /** Undefined when all are 0. */
  readonly ns: Uint32Array | undefined
  readonly extras: readonly Extra[]
}

/** An empty batch of a size, to be filled in. */
export function allocateBatch(count: number, withNs: boolean, extras: readonly Extra[]): PackedBatch {
  const tail = writeExtras(extras)
  const columns = count * (withNs ? 24 : 20)
  const bytes = new Uint8Array(HEADER + columns + tail.length)
  new Uint32Array(bytes.buffer, 0, 4).set([FORMAT, count, withNs ? WITH_NS : 0, tail.length])
  bytes.set(tail, HEADER + columns)
  return { ...viewColumns(bytes, count, withNs), extras }
}

/** The columns of stored or received bytes, not copied where their alignment allows. Throws when they are none. */
export function viewBatch(source: Uint8Array<ArrayBuffer>): PackedBatch {
  const bytes = source.byteOffset % 8 === 0 ? source : source.slice()
  const [format, count = 0, flags = 0, tail = 0] = new Uint32Array(bytes.buffer, bytes.byteOffset, 4)
  const withNs = (flags & WITH_NS) !== 0
  const end = HEADER + count * (withNs ? 24 : 20)
  if (format !== FORMAT || bytes.length !== end + tail) throw new RangeError('the bytes are not a batch of points')
  return { ...viewColumns(bytes, count, withNs), extras: readExtras(bytes.subarray(end)) }
}

function viewColumns(bytes: Uint8Array<ArrayBuffer>, count: number, withNs: boolean): Omit<PackedBatch, 'extras'> {
  const at = bytes.byteOffset + HEADER
  return {
    bytes,
    count,
    ms: new Float64Array(bytes.buffer, at, count),
    values: new Float64Array(bytes.buffer, at + count * 8, count),
    series: new Uint32Array(bytes.buffer, at + count * 16, count),
    ns: withNs ? new Uint32Array(bytes.buffer, at + count * 20, count) : undefined,
  }
}

/** The number that stands for an extra in the column of values. */
export function boxed(type: FieldType, index: number): number {
  return type === 'string' ? index : BOXED + 2 * index
}

/** The index of the extra that a number stands for, or undefined when it is the value itself. */
export function unboxed(type: FieldType, number: number): number | undefined {
  if (type === 'string') return number
  return type === 'integer' && number >= BOXED ? (number - BOXED) / 2 : undefined
}

/** The value that a number of the column stands for. */
export function valueOf(type: FieldType, number: number, extras: readonly Extra[]): PointValue {
  if (type === 'float') return number
  if (type === 'boolean') return number === 1
  const index = unboxed(type, number)
  // Integers know no -0.
  return index === undefined ? number + 0 : (extras[index] ?? '')
}

function writeExtras(extras: readonly Extra[]): Uint8Array {
  const out = new ByteWriter()
  for (const extra of extras) {
    out.byte(typeof extra === 'string' ? 0 : 1)
    if (typeof extra === 'string') out.text(extra)
    else out.int64(extra)
  }
  return out.finish()
}

function readExtras(bytes: Uint8Array): Extra[] {
  const from = new ByteReader(bytes)
  const extras: Extra[] = []
  while (!from.atEnd) extras.push(from.byte() === 0 ? from.text() : from.int64())
  return extras
}
