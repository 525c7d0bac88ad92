import type { FieldType, PointValue } from '../../telemetry.ts'
import type { ByteReader, ByteWriter } from './bytes.ts'

/** Points of one series as columns in time order; no two have the same time. */
export interface Run {
  readonly ms: number[]
  readonly ns: number[]
  readonly values: PointValue[]
}

/** Below this, differences of two numbers and their zigzag form stay exact in a double. */
const EXACT = 2 ** 51

/** Marks a column that is kept as the eight bytes of each value. */
const PLANES = 255

/** Powers of ten that doubles hold exactly; more decimals than these do not fit 2^51 anyway. */
const POWERS = Array.from({ length: 16 }, (_, exponent) => 10 ** exponent)

/** Up to one value in sixteen may be an exception of its scale before the column is kept as bytes. */
const EXCEPTIONS = 16

export function writeTimes(out: ByteWriter, { ms, ns }: Run): void {
  let before = 0
  let step = 0
  for (const time of ms) {
    out.signed(time - before - step)
    step = time - before
    before = time
  }
  const whole = ns.every((rest) => rest === 0)
  out.byte(whole ? 0 : 1)
  if (whole) return
  before = 0
  for (const rest of ns) {
    out.signed(rest - before)
    before = rest
  }
}

export function readTimes(from: ByteReader, count: number): { ms: number[]; ns: number[] } {
  const ms: number[] = []
  const ns: number[] = []
  let time = 0
  let step = 0
  for (let i = 0; i < count; i++) {
    step += from.signed()
    time += step
    ms.push(time)
  }
  const whole = from.byte() === 0
  let rest = 0
  for (let i = 0; i < count; i++) {
    if (!whole) rest += from.signed()
    ns.push(rest)
  }
  return { ms, ns }
}

/** The caller has checked that every value is of the type. */
export function writeValues(out: ByteWriter, type: FieldType, values: readonly PointValue[]): void {
  switch (type) {
    case 'float':
      return writeFloats(out, values as readonly number[])
    case 'integer':
      return writeIntegers(out, values as readonly (number | bigint)[])
    case 'boolean':
      return writeBooleans(out, values as readonly boolean[])
    case 'string':
      return writeStrings(out, values as readonly string[])
  }
}

export function readValues(from: ByteReader, type: FieldType, count: number): PointValue[] {
  switch (type) {
    case 'float':
      return readFloats(from, count)
    case 'integer':
      return readIntegers(from, count)
    case 'boolean':
      return readBooleans(from, count)
    case 'string':
      return readStrings(from, count)
  }
}

/**
 * The whole number m for which m / 10^k is this very double, or undefined. Division of two exact doubles rounds once,
 * as reading the decimal text does, so decimals of up to 15 digits always have one. -0 has none.
 */
function scaled(value: number, power: number): number | undefined {
  const whole = Math.round(value * power)
  if (whole > EXACT || whole < -EXACT || whole / power !== value) return undefined
  return whole === 0 && Object.is(value, -0) ? undefined : whole
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

function writeFloats(out: ByteWriter, values: readonly number[]): void {
  const decimals = decimalsOf(values)
  if (decimals === undefined) {
    out.byte(PLANES)
    return writePlanes(out, new Uint8Array(Float64Array.from(values).buffer))
  }
  const power = POWERS[decimals] ?? NaN
  const exceptions: number[] = []
  let before = 0
  out.byte(decimals)
  values.forEach((value, index) => {
    // An exception repeats its neighbour here, which costs next to nothing, and is put right below.
    const whole = scaled(value, power)
    if (whole === undefined) exceptions.push(index)
    out.signed((whole ?? before) - before)
    before = whole ?? before
  })
  out.varint(exceptions.length)
  for (const index of exceptions) {
    out.varint(index)
    out.float64(values[index] ?? NaN)
  }
}

function readFloats(from: ByteReader, count: number): number[] {
  const decimals = from.byte()
  if (decimals === PLANES) return Array.from(new Float64Array(readPlanes(from, count).buffer))
  const power = POWERS[decimals]
  if (power === undefined) throw new RangeError(`unknown scale ${decimals}`)
  const values: number[] = []
  let whole = 0
  for (let i = 0; i < count; i++) {
    whole += from.signed()
    values.push(whole / power)
  }
  for (let left = from.varint(); left > 0; left--) values[from.varint()] = from.float64()
  return values
}

function writeIntegers(out: ByteWriter, values: readonly (number | bigint)[]): void {
  const small = values.every((value) => typeof value === 'number' && value <= EXACT && value >= -EXACT)
  out.byte(small ? 0 : PLANES)
  if (!small) return writePlanes(out, new Uint8Array(BigInt64Array.from(values, BigInt).buffer))
  let before = 0
  for (const value of values as readonly number[]) {
    out.signed(value - before)
    before = value
  }
}

function readIntegers(from: ByteReader, count: number): (number | bigint)[] {
  if (from.byte() === PLANES) return Array.from(new BigInt64Array(readPlanes(from, count).buffer), toInteger)
  const values: number[] = []
  let value = 0
  for (let i = 0; i < count; i++) {
    value += from.signed()
    values.push(value)
  }
  return values
}

/** An integer as points carry it: a number while that is exact, else a bigint. */
export function toInteger(value: bigint): number | bigint {
  const number = Number(value)
  return Number.isSafeInteger(number) ? number : value
}

/** Eight bytes a value, XORed with the value before, all first bytes first: what is alike lies side by side. */
function writePlanes(out: ByteWriter, bytes: Uint8Array): void {
  const count = bytes.length / 8
  const planes = new Uint8Array(bytes.length)
  for (let i = 0; i < bytes.length; i++) {
    const plain = (bytes[i] ?? 0) ^ (i < 8 ? 0 : (bytes[i - 8] ?? 0))
    planes[(i % 8) * count + Math.floor(i / 8)] = plain
  }
  out.raw(planes)
}

function readPlanes(from: ByteReader, count: number): Uint8Array<ArrayBuffer> {
  const planes = from.raw(count * 8)
  const bytes = new Uint8Array(count * 8)
  for (let i = 0; i < bytes.length; i++) {
    const plain = planes[(i % 8) * count + Math.floor(i / 8)] ?? 0
    bytes[i] = plain ^ (i < 8 ? 0 : (bytes[i - 8] ?? 0))
  }
  return bytes
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

function writeStrings(out: ByteWriter, values: readonly string[]): void {
  const words = new Map<string, number>()
  for (const value of values) if (!words.has(value)) words.set(value, words.size)
  out.varint(words.size)
  for (const word of words.keys()) out.text(word)
  for (const value of values) out.varint(words.get(value) ?? 0)
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
