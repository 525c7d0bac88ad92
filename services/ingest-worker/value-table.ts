/** Points remembered, a power of two: 32 bytes each, and 4 for the beginning of a chain. */
const SIZE = 65_536
/** Points that are looked at for one: times whose chains somebody has made long cost no more than this. */
const MAX_STEPS = 64
/** Words of a point. */
const WORDS = 4

/**
 * The last points that were added, by seat and time; a ring in the order of adding, with chains of those of equal hash. Points
 * join their chains when one is looked for, all that were added since together: where times only grow, none ever is.
 */
export class ValueTable {
  /** Per point, side by side for the processor's cache: ms and mark. */
  readonly #doubles = new Float64Array(2 * SIZE)
  /** Per point: seat, ns, number of the message, and number of the point before it in its chain. */
  readonly #words = new Uint32Array(WORDS * SIZE)
  readonly #one = new Float64Array(2)
  /** By hash: number of the newest point. */
  readonly #heads = new Uint32Array(SIZE)
  /** Numbers are given modulo 2^32; what a stale one points to is told by its seat and time. */
  #next = 0
  /** The first point that is in no chain yet. */
  #unchained = 0
  #size = 0

  /** Points that are remembered. */
  get size(): number {
    return this.#size
  }

  clear(): void {
    this.#size = 0
  }

  /** Of `from` at `at` ms and mark, side by side: as arguments they would be objects of their own. */
  add(seat: number, from: Float64Array, at: number, ns: number, writer: number): void {
    const index = this.#next & (SIZE - 1)
    const words = this.#words
    this.#doubles[2 * index] = from[at] ?? 0
    this.#doubles[2 * index + 1] = from[at + 1] ?? 0
    words[WORDS * index] = seat
    words[WORDS * index + 1] = ns
    words[WORDS * index + 2] = writer
    this.#next = (this.#next + 1) >>> 0
    if (this.#size < SIZE) this.#size += 1
  }

  /**
   * Gives the point a value, and adds it where it is not known. Returns the mark that it had when that was another one,
   * of another writer.
   */
  exchange(seat: number, ms: number, ns: number, mark: number, writer: number): number | undefined {
    const index = this.#find(seat, ms, ns)
    if (index === undefined) {
      this.#one[0] = ms
      this.#one[1] = mark
      this.add(seat, this.#one, 0, ns, writer)
      return undefined
    }
    const before = this.#doubles[2 * index + 1] ?? 0
    const isOther = this.#words[WORDS * index + 2] !== writer
    this.#doubles[2 * index + 1] = mark
    this.#words[WORDS * index + 2] = writer
    return isOther && before !== mark ? before : undefined
  }

  #chain(): void {
    const doubles = this.#doubles
    const words = this.#words
    const count = Math.min((this.#next - this.#unchained) >>> 0, this.#size)
    for (let number = (this.#next - count) >>> 0; number !== this.#next; number = (number + 1) >>> 0) {
      const index = number & (SIZE - 1)
      const head = hashOf(words[WORDS * index] ?? 0, doubles[2 * index] ?? 0, words[WORDS * index + 1] ?? 0)
      words[WORDS * index + 3] = this.#heads[head] ?? 0
      this.#heads[head] = number
    }
    this.#unchained = this.#next
  }

  #find(seat: number, ms: number, ns: number): number | undefined {
    this.#chain()
    let number = this.#heads[hashOf(seat, ms, ns)] ?? 0
    let age = 0
    for (let step = 0; step < MAX_STEPS; step++) {
      const next = (this.#next - number) >>> 0
      // Chains go back in time; what does not was overwritten.
      if (next <= age || next > this.#size) return undefined
      age = next
      const index = number & (SIZE - 1)
      const isSame = this.#doubles[2 * index] === ms && this.#words[WORDS * index + 1] === ns
      if (isSame && this.#words[WORDS * index] === seat >>> 0) return index
      number = this.#words[WORDS * index + 3] ?? 0
    }
    return undefined
  }
}

function hashOf(seat: number, ms: number, ns: number): number {
  let hash = Math.imul(seat, 0x9e3779b1) ^ Math.imul(ms | 0, 0x85ebca6b) ^ Math.imul(ns, 0xc2b2ae35)
  hash ^= hash >>> 15
  hash = Math.imul(hash, 0x2c1b3c6d)
  hash ^= hash >>> 12
  return hash & (SIZE - 1)
}
