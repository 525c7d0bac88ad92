/**
 * A map that never holds more than `capacity` entries: setting one more drops the entry that was read or set longest
 * ago. Reading and setting cost O(1).
 */
export class LruMap<K, V> {
  readonly capacity: number
  readonly #entries = new Map<K, V>()

  /** `capacity` is a whole number of at least 1. */
  constructor(capacity: number) {
    this.capacity = capacity
  }

  get size(): number {
    return this.#entries.size
  }

  /** The value, which then counts as just used. */
  get(key: K): V | undefined {
    const value = this.#entries.get(key)
    if (value === undefined && !this.#entries.has(key)) return undefined
    this.#entries.delete(key)
    this.#entries.set(key, value as V) // present: V itself may include undefined
    return value
  }

  /** Returns the value that was dropped to make room, if one was. */
  set(key: K, value: V): V | undefined {
    this.#entries.delete(key)
    this.#entries.set(key, value)
    return this.#entries.size > this.capacity ? this.dropOldest() : undefined
  }

  /** Drops the entry that was used longest ago and returns its value. */
  dropOldest(): V | undefined {
    const oldest = this.#entries.entries().next()
    if (oldest.done === true) return undefined
    this.#entries.delete(oldest.value[0])
    return oldest.value[1]
  }

  /** The value, without counting as a use. */
  peek(key: K): V | undefined {
    return this.#entries.get(key)
  }

  delete(key: K): boolean {
    return this.#entries.delete(key)
  }

  /** From the one that was used longest ago on; what is yielded may be deleted meanwhile. */
  entries(): IterableIterator<[K, V]> {
    return this.#entries.entries()
  }

  clear(): void {
    this.#entries.clear()
  }
}
