// Invariant: a point is never moved: its index is its place in the order of writing, chains go from higher to lower
// indexes, and of two points of one series and time the higher index counts. An erased point keeps its place.
import type { FieldType } from '../../telemetry.ts'
import { boxed, unboxed, valueOf, type Extra, type PackedBatch } from './batch.ts'
import type { Run } from './columns.ts'
import { isBefore, isWithin, type Span } from './time.ts'

/** Points that a new generation has room for; it doubles when they are used up. */
const FIRST_CAPACITY = 65_536

/** A stretch of one series' chain: the point `start` and `count - 1` older ones. */
export interface Stretch {
  readonly start: number
  readonly count: number
}

/**
 * Unsealed points in memory, 24 bytes each, in the order of writing. The points of a series are a chain from the newest
 * written to the oldest, so adding a point costs the same however many series there are. Of two points with the same
 * time the one written later, which has the higher index, counts.
 */
export class Generation {
  #ms = new Float64Array(FIRST_CAPACITY)
  #ns = new Uint32Array(FIRST_CAPACITY)
  #values = new Float64Array(FIRST_CAPACITY)
  /** Index of the point of the same series written before, plus 1; 0 at the end of the chain. */
  #older = new Uint32Array(FIRST_CAPACITY)
  #count = 0
  /** By series: index of its newest point plus 1, and whether a point came out of order. */
  #newest = new Uint32Array(1024)
  #unordered = new Uint8Array(1024)
  readonly #series: number[] = []
  readonly #extras: Extra[] = []
  #extraBytes = 0
  #lastSeq = 0
  #since: number | undefined

  get count(): number {
    return this.#count
  }

  /** Memory held by strings and large integers, in bytes, roughly. */
  get extraBytes(): number {
    return this.#extraBytes
  }

  /** `seq` of the last batch. */
  get lastSeq(): number {
    return this.#lastSeq
  }

  /** When the first batch was written, in ms since 1970; undefined while there is none. */
  get since(): number | undefined {
    return this.#since
  }

  /** Series that have points here. */
  get series(): readonly number[] {
    return this.#series
  }

  /** Adds a batch whose column `series` holds ids. */
  append(batch: PackedBatch, seq: number, writtenAt: number, typeOf: (series: number) => FieldType): void {
    const { count, ms, ns, values, series } = batch
    const start = this.#count
    this.#reserve(start + count)
    this.#ms.set(ms, start)
    if (ns !== undefined) this.#ns.set(ns, start)
    this.#values.set(values, start)
    for (let i = 0; i < count; i++) this.#link(start + i, series[i] ?? 0)
    if (batch.extras.length > 0) this.#addExtras(batch, start, typeOf)
    this.#count += count
    this.#lastSeq = seq
    this.#since ??= writtenAt
  }

  /** Points of a series within a span, in time order, each time once; of the first `count` points that were written. */
  run(series: number, type: FieldType, span: Span, count = Infinity): Run {
    return this.#toRun(this.#indexes(series, span, count), type)
  }

  /** The points of stretches of one series, in time order, each time once. */
  collect(type: FieldType, stretches: readonly Stretch[]): Run {
    const indexes: number[] = []
    for (const { start, count } of stretches) {
      let index = start
      for (let left = count; left > 0; left--) {
        if (!Number.isNaN(this.#ms[index])) indexes.push(index)
        index = (this.#older[index] ?? 0) - 1
      }
    }
    return this.#toRun(indexes, type)
  }

  /** Walks the chain of a series, newest written first: index and time of each point, NaN for an erased one. */
  visit(series: number, visit: (index: number, ms: number) => void): void {
    for (let next = this.#newest[series] ?? 0; next > 0; next = this.#older[next - 1] ?? 0) {
      visit(next - 1, this.#ms[next - 1] ?? NaN)
    }
  }

  /** Takes the points of a series within a span away. */
  erase(series: number, span: Span): void {
    // They keep their place in the chain: not a number is the one time that no point has.
    for (const index of this.#indexes(series, span)) this.#ms[index] = NaN
  }

  #link(index: number, series: number): void {
    if (series >= this.#newest.length) this.#reserveSeries(series + 1)
    const newest = this.#newest[series] ?? 0
    if (newest === 0) this.#series.push(series)
    else if (
      !isBefore(this.#ms[newest - 1] ?? NaN, this.#ns[newest - 1] ?? 0, this.#ms[index] ?? 0, this.#ns[index] ?? 0)
    ) {
      this.#unordered[series] = 1
    }
    this.#older[index] = newest
    this.#newest[series] = index + 1
  }

  #addExtras({ count, series, extras }: PackedBatch, start: number, typeOf: (series: number) => FieldType): void {
    const base = this.#extras.length
    for (const extra of extras) {
      this.#extras.push(extra)
      this.#extraBytes += 16 + (typeof extra === 'string' ? extra.length * 2 : 8)
    }
    for (let i = 0; i < count; i++) {
      const type = typeOf(series[i] ?? 0)
      const index = unboxed(type, this.#values[start + i] ?? 0)
      if (index !== undefined && type !== 'float') this.#values[start + i] = boxed(type, base + index)
    }
  }

  /** Points within a span, newest written first. */
  #indexes(series: number, span: Span, count = Infinity): number[] {
    const ordered = (this.#unordered[series] ?? 0) === 0
    const indexes: number[] = []
    for (let next = this.#newest[series] ?? 0; next > 0; next = this.#older[next - 1] ?? 0) {
      const ms = this.#ms[next - 1] ?? NaN
      const ns = this.#ns[next - 1] ?? 0
      if (next > count) continue
      if (isWithin(ms, ns, span)) indexes.push(next - 1)
      // In a chain in time order all that is older lies before, too.
      else if (ordered && isBefore(ms, ns, span.from.ms, span.from.ns)) break
    }
    return indexes
  }

  #toRun(indexes: number[], type: FieldType): Run {
    const { times: ms, rests: ns } = { times: this.#ms, rests: this.#ns }
    const compare = (a: number, b: number): number =>
      (ms[a] ?? 0) - (ms[b] ?? 0) || (ns[a] ?? 0) - (ns[b] ?? 0) || a - b
    indexes.reverse()
    if (indexes.some((index, i) => i > 0 && compare(indexes[i - 1] ?? 0, index) > 0)) indexes.sort(compare)
    const run: Run = { ms: [], ns: [], values: [] }
    indexes.forEach((index, i) => {
      const next = indexes[i + 1]
      if (next !== undefined && ms[next] === ms[index] && ns[next] === ns[index]) return
      run.ms.push(ms[index] ?? 0)
      run.ns.push(ns[index] ?? 0)
      run.values.push(valueOf(type, this.#values[index] ?? 0, this.#extras))
    })
    return run
  }

  #reserve(points: number): void {
    if (points <= this.#ms.length) return
    const capacity = Math.max(points, this.#ms.length * 2)
    this.#ms = grown(this.#ms, new Float64Array(capacity))
    this.#ns = grown(this.#ns, new Uint32Array(capacity))
    this.#values = grown(this.#values, new Float64Array(capacity))
    this.#older = grown(this.#older, new Uint32Array(capacity))
  }

  #reserveSeries(count: number): void {
    const capacity = Math.max(count, this.#newest.length * 2)
    this.#newest = grown(this.#newest, new Uint32Array(capacity))
    this.#unordered = grown(this.#unordered, new Uint8Array(capacity))
  }
}

function grown<T extends { set(from: T): void }>(from: T, to: T): T {
  to.set(from)
  return to
}
