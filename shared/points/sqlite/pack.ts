import { SluiceError, type ErrorCode } from '../../errors.ts'
import { MAX_INSTANT, type PointBatch, type PointValue, type Series } from '../../telemetry.ts'
import type { RejectedPoint } from '../port.ts'
import { allocateBatch, boxed, PART_POINTS, type Extra, type PackedBatch } from './batch.ts'
import type { SeriesNames } from './messages.ts'

/** Series that are called by a number between the threads before all names are forgotten: about 100 MB of objects. */
const MAX_NAMES = 1_000_000

/** Text of one part; more of it starts the next part. */
const PART_TEXT = 8 * 1024 * 1024

/** The least and largest 64-bit integers. */
const MIN_INTEGER = -(2n ** 63n)
const MAX_INTEGER = 2n ** 63n - 1n

export interface Packed {
  readonly parts: readonly PackedBatch[]
  readonly names: SeriesNames
  readonly rejected: RejectedPoint[]
  /** Index into the batch of a point of a part. */
  readonly indexOf: (part: number, index: number) => number
}

/** Turns batches into columns of numbers that cross to the thread without being copied. */
export class BatchPacker {
  #names = new WeakMap<Series, number>()
  #next = 0

  pack(batch: PointBatch): Packed {
    const { good, rejected } = checkPoints(batch)
    if (this.#next >= MAX_NAMES) this.forget()
    const first = this.#next
    const added: Series[] = []
    const name = (series: Series): number => {
      let known = this.#names.get(series)
      if (known === undefined) {
        known = this.#next++
        this.#names.set(series, known)
        added.push(series)
      }
      return known
    }
    const total = good === undefined ? batch.series.length : good.length
    const parts: PackedBatch[] = []
    const starts: number[] = []
    for (let start = 0; start < total;) {
      const part = packPart(batch, good, start, Math.min(start + PART_POINTS, total), name)
      starts.push(start)
      parts.push(part)
      start += part.count
    }
    const indexOf = (part: number, index: number): number => {
      const position = (starts[part] ?? 0) + index
      return good === undefined ? position : (good[position] ?? position)
    }
    return { parts, names: { first, added }, rejected, indexOf }
  }

  /** Starts the numbering again: the next batch carries the definitions of all its series. */
  forget(): void {
    this.#names = new WeakMap()
    this.#next = 0
  }
}

function packPart(
  batch: PointBatch,
  good: readonly number[] | undefined,
  start: number,
  end: number,
  name: (series: Series) => number,
): PackedBatch {
  const numbers = new Float64Array(end - start)
  const extras: Extra[] = []
  const known = new Map<Extra, number>()
  let text = 0
  let withNs = false
  let count = 0
  for (let at = start; at < end && text < PART_TEXT; at++, count++) {
    const index = good === undefined ? at : (good[at] ?? at)
    const value = batch.values[index]
    if (batch.ns[index] !== 0) withNs = true
    if (typeof value === 'number' && Math.abs(value) < 2 ** 53) numbers[count] = value
    else if (typeof value === 'boolean') numbers[count] = value ? 1 : 0
    else {
      const type = batch.series[index]?.type ?? 'float'
      const extra = toExtra(type === 'float' ? undefined : value)
      if (extra === undefined) {
        numbers[count] = Number(value)
        continue
      }
      let place = known.get(extra)
      if (place === undefined) {
        place = extras.push(extra) - 1
        known.set(extra, place)
        text += typeof extra === 'string' ? extra.length : 8
      }
      numbers[count] = boxed(type, place)
    }
  }
  const part = allocateBatch(count, withNs, extras)
  part.values.set(numbers.subarray(0, count))
  for (let i = 0; i < count; i++) {
    const index = good === undefined ? start + i : (good[start + i] ?? 0)
    const series = batch.series[index]
    if (series !== undefined) part.series[i] = name(series)
    part.ms[i] = batch.ms[index] ?? 0
    if (part.ns !== undefined) part.ns[i] = batch.ns[index] ?? 0
  }
  return part
}

/** What a value is kept as beside the numbers; undefined when a number holds it. */
function toExtra(value: PointValue | undefined): Extra | undefined {
  if (typeof value === 'string') return value
  if (typeof value !== 'bigint' && typeof value !== 'number') return undefined
  const number = Number(value)
  return Number.isSafeInteger(number) ? undefined : BigInt(value)
}

/** The points that can be stored; `good` is undefined when all can. */
function checkPoints({ series, ms, ns, values }: PointBatch): {
  good: number[] | undefined
  rejected: RejectedPoint[]
} {
  const rejected: RejectedPoint[] = []
  let good: number[] | undefined
  for (let index = 0; index < series.length; index++) {
    const identity = series[index]
    const value = values[index]
    if (identity === undefined || value === undefined) throw new TypeError('the columns of a batch differ in length')
    const code = timeProblem(ms[index] ?? NaN, ns[index] ?? NaN) ?? valueProblem(identity, value)
    if (code === undefined) {
      good?.push(index)
      continue
    }
    good ??= Array.from({ length: index }, (_, earlier) => earlier)
    const what = `${identity.tenant}/${identity.device} ${identity.stream} ${identity.field} (${identity.type})`
    rejected.push({ index, error: new SluiceError(code, `${what}: ${describe(value)} at ${ms[index]} ms`) })
  }
  return { good, rejected }
}

function describe(value: PointValue): string {
  return typeof value === 'string' ? JSON.stringify(value.slice(0, 60)) : String(value)
}

function timeProblem(ms: number, ns: number): ErrorCode | undefined {
  const whole = Number.isInteger(ms) && Number.isInteger(ns)
  if (!whole || ms < 0 || ns < 0 || ns > 999_999 || ms > MAX_INSTANT.ms) return 'time_out_of_range'
  return ms === MAX_INSTANT.ms && ns > MAX_INSTANT.ns ? 'time_out_of_range' : undefined
}

function valueProblem({ type, field }: Series, value: PointValue): ErrorCode | undefined {
  // UTF-8 has no form for half of a surrogate pair: it would come back as another string.
  if (!field.isWellFormed()) return 'field_name_invalid'
  switch (type) {
    case 'float':
      if (typeof value !== 'number') return 'type_conflict'
      return Number.isFinite(value) ? undefined : 'value_out_of_range'
    case 'integer':
      return integerProblem(value)
    case 'boolean':
      return typeof value === 'boolean' ? undefined : 'type_conflict'
    case 'string':
      if (typeof value !== 'string') return 'type_conflict'
      return value.isWellFormed() ? undefined : 'value_unsupported'
  }
}

function integerProblem(value: PointValue): ErrorCode | undefined {
  if (typeof value === 'number') {
    if (!Number.isFinite(value)) return 'value_out_of_range'
    if (!Number.isInteger(value)) return 'type_conflict'
    return Math.abs(value) <= 2 ** 53 ? undefined : integerProblem(BigInt(value))
  }
  if (typeof value !== 'bigint') return 'type_conflict'
  return value >= MIN_INTEGER && value <= MAX_INTEGER ? undefined : 'value_out_of_range'
}
