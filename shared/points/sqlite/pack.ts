import type { PointBatch, PointValue, Series } from '../../telemetry.ts'
import { checkPoints } from '../check.ts'
import type { RejectedPoint } from '../port.ts'
import { allocateBatch, boxed, PART_POINTS, type Extra, type PackedBatch } from './batch.ts'
import type { SeriesNames } from './messages.ts'

/** Series that are called by a number between the threads before all names are forgotten: about 100 MB of objects. */
const MAX_NAMES = 1_000_000

/** Text of one part; more of it starts the next part. */
const PART_TEXT = 8 * 1024 * 1024

export interface Packed {
  readonly parts: readonly PackedBatch[]
  readonly names: SeriesNames
  readonly rejected: RejectedPoint[]
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
    for (let start = 0; start < total;) {
      const part = packPart(batch, good, start, Math.min(start + PART_POINTS, total), name)
      parts.push(part)
      start += part.count
    }
    return { parts, names: { first, added }, rejected }
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
