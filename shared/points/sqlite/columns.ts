import type { FieldType, PointValue } from '../../telemetry.ts'
import { ByteWriter, type ByteReader } from './bytes.ts'
import { EXACT, POWERS, scaled } from './decimals.ts'
import { BYTES, type NumberCoding } from './numbers.ts'
import { readPlanes, writePlanes } from './planes.ts'

/** Points of one series as columns in time order; no two have the same time. */
export interface Run {
  readonly ms: number[]
  readonly ns: number[]
  readonly values: PointValue[]
}

/** Marks a column that is kept as the eight bytes of each value. */
const PLANES = 255

/** Up to one value in sixteen may be an exception of its scale before the column is kept as bytes. */
const EXCEPTIONS = 16

/** A part of a run as it is written: whole numbers, which there are several ways to write, or bytes as they are. */
export type Column = { readonly numbers: readonly number[] } | { readonly bytes: Uint8Array }

export function writeColumns(out: ByteWriter, columns: readonly Column[], coding: NumberCoding): void {
  for (const column of columns) {
    if ('numbers' in column) coding.write(out, column.numbers)
    else out.raw(column.bytes)
  }
}

/** Differences of differences, of all times, or of those behind the first, which is told when they are read. */
export function timesOf({ ms, ns }: Run, what: 'all' | 'behind first' = 'all'): Column[] {
  const numbers: number[] = []
  const from = what === 'all' ? 0 : 1
  let before = from === 0 ? 0 : (ms[0] ?? 0)
  let step = 0
  for (let i = from; i < ms.length; i++) {
    const time = ms[i] ?? 0
    numbers.push(time - before - step)
    step = time - before
    before = time
  }
  if (ns.every((rest) => rest === 0)) return [{ numbers }, byteColumn(0)]
  return [{ numbers }, byteColumn(1), { numbers: differences(ns) }]
}

/** Inverse of {@link timesOf}; the first time where it is not among them. */
export function readTimes(
  from: ByteReader,
  count: number,
  coding: NumberCoding = BYTES,
  first?: number,
): { ms: number[]; ns: number[] } {
  const ms = first === undefined ? [] : [first]
  let time = first ?? 0
  let step = 0
  for (const change of coding.read(from, count - ms.length)) {
    step += change
    time += step
    ms.push(time)
  }
  if (from.byte() === 0) return { ms, ns: new Array<number>(count).fill(0) }
  return { ms, ns: summed(coding.read(from, count)) }
}

/** The caller has checked that every value is of the type. */
export function valuesOf(type: FieldType, values: readonly PointValue[]): Column[] {
  switch (type) {
    case 'float':
      return floatsOf(values as readonly number[])
    case 'integer':
      return integersOf(values as readonly (number | bigint)[])
    case 'boolean':
      return bytesOf((out) => writeBooleans(out, values as readonly boolean[]))
    case 'string':
      return stringsOf(values as readonly string[])
  }
}

/** Inverse of {@link valuesOf}. */
export function readValues(
  from: ByteReader,
  type: FieldType,
  count: number,
  coding: NumberCoding = BYTES,
): PointValue[] {
  switch (type) {
    case 'float':
      return readFloats(from, count, coding)
    case 'integer':
      return readIntegers(from, count, coding)
    case 'boolean':
      return readBooleans(from, count)
    case 'string':
      return readStrings(from, count)
  }
}

function byteColumn(value: number): Column {
  return { bytes: Uint8Array.of(value) }
}

function bytesOf(write: (out: ByteWriter) => void): [Column] {
  const out = new ByteWriter()
  write(out)
  return [{ bytes: out.finish() }]
}

function differences(numbers: readonly number[]): number[] {
  return numbers.map((number, i) => number - (i === 0 ? 0 : (numbers[i - 1] ?? 0)))
}

function summed(changes: readonly number[]): number[] {
  let sum = 0
  return changes.map((change) => (sum += change))
}

/** The least number of decimals that leaves few exceptions, or undefined when the values are no short decimals. */
function decimalsOf(values: readonly number[]): number | undefined {
  const needed = new Uint32Array(POWERS.length + 1)
  for (const value of values) {
    let decimals = 0
    while (decimals < POWERS.length && scaled(value, POWERS[decimals] ?? NaN) === undefined) decimals++
    needed[decimals] = (needed[decimals] ?? 0) + 1
  }
  let exceptions = values.length
  for (let decimals = 0; decimals < POWERS.length; decimals++) {
    exceptions -= needed[decimals] ?? 0
    if (exceptions * EXCEPTIONS <= values.length) return decimals
  }
  return undefined
}

function floatsOf(values: readonly number[]): Column[] {
  const decimals = decimalsOf(values)
  if (decimals === undefined) {
    return bytesOf((out) => {
      out.byte(PLANES)
      writePlanes(out, new Uint8Array(Float64Array.from(values).buffer))
    })
  }
  const power = POWERS[decimals] ?? NaN
  const numbers: number[] = []
  const exceptions: number[] = []
  let before = 0
  values.forEach((value, index) => {
    // An exception repeats its neighbour here, which costs next to nothing, and is put right below.
    const whole = scaled(value, power)
    if (whole === undefined) exceptions.push(index)
    numbers.push((whole ?? before) - before)
    before = whole ?? before
  })
  const behind = bytesOf((out) => {
    out.varint(exceptions.length)
    for (const index of exceptions) {
      out.varint(index)
      out.float64(values[index] ?? NaN)
    }
  })
  return [byteColumn(decimals), { numbers }, ...behind]
}

function readFloats(from: ByteReader, count: number, coding: NumberCoding): number[] {
  const decimals = from.byte()
  if (decimals === PLANES) return Array.from(new Float64Array(readPlanes(from, count).buffer))
  const power = POWERS[decimals]
  if (power === undefined) throw new RangeError(`unknown scale ${decimals}`)
  const values = summed(coding.read(from, count)).map((whole) => whole / power)
  for (let left = from.varint(); left > 0; left--) values[from.varint()] = from.float64()
  return values
}

function integersOf(values: readonly (number | bigint)[]): Column[] {
  const small = values.every((value) => typeof value === 'number' && value <= EXACT && value >= -EXACT)
  if (small) return [byteColumn(0), { numbers: differences(values as readonly number[]) }]
  return bytesOf((out) => {
    out.byte(PLANES)
    writePlanes(out, new Uint8Array(BigInt64Array.from(values, BigInt).buffer))
  })
}

function readIntegers(from: ByteReader, count: number, coding: NumberCoding): (number | bigint)[] {
  if (from.byte() === PLANES) return Array.from(new BigInt64Array(readPlanes(from, count).buffer), toInteger)
  return summed(coding.read(from, count))
}

/** An integer as points carry it: a number while that is exact, else a bigint. */
export function toInteger(value: bigint): number | bigint {
  const number = Number(value)
  return Number.isSafeInteger(number) ? number : value
}

function writeBooleans(out: ByteWriter, values: readonly boolean[]): void {
  for (let start = 0; start < values.length; start += 8) {
    let bits = 0
    for (let i = 0; i < 8; i++) if (values[start + i] === true) bits |= 1 << i
    out.byte(bits)
  }
}

function readBooleans(from: ByteReader, count: number): boolean[] {
  const values: boolean[] = []
  let bits = 0
  for (let i = 0; i < count; i++) {
    if (i % 8 === 0) bits = from.byte()
    values.push((bits & (1 << (i % 8))) !== 0)
  }
  return values
}

function stringsOf(values: readonly string[]): Column[] {
  const words = new Map<string, number>()
  for (const value of values) if (!words.has(value)) words.set(value, words.size)
  return bytesOf((out) => {
    out.varint(words.size)
    for (const word of words.keys()) out.text(word)
    for (const value of values) out.varint(words.get(value) ?? 0)
  })
}

function readStrings(from: ByteReader, count: number): string[] {
  const words: string[] = []
  for (let left = from.varint(); left > 0; left--) words.push(from.text())
  const values: string[] = []
  for (let i = 0; i < count; i++) {
    const word = words[from.varint()]
    if (word === undefined) throw new RangeError('a word is missing')
    values.push(word)
  }
  return values
}
