import { Counter } from 'prom-client'
import { LruMap } from '../../lru.ts'
import { gaugeOf, type Metrics } from '../../process/metrics.ts'
import type { Cache } from '../port.ts'

export interface MemoryCacheOptions {
  readonly maxEntries: number
  readonly metrics: Metrics
}

/**
 * Upper bound of keys and values together, in UTF-16 units, whatever `maxEntries` says: 32 Mi units are at most 64 MB.
 * One reading may have a thousand fields of 16 KiB, so counting entries alone bounds nothing.
 */
const MAX_UNITS = 32 * 1024 * 1024

interface Entry {
  readonly key: string
  readonly value: string
  /** On the monotonic clock: setting the wall clock must not make values old or eternal. */
  readonly expires: number
}

/** A cache in this process: what was used longest ago goes first. A value above the whole bound is not kept. */
export function openMemoryCache({ maxEntries, metrics }: MemoryCacheOptions): Cache {
  return new MemoryCache(new LruMap(maxEntries), metrics)
}

class MemoryCache implements Cache {
  readonly available = true
  readonly #entries: LruMap<string, Entry>
  readonly #reads: Counter<'result'>
  readonly #evictions: Counter
  #units = 0

  constructor(entries: LruMap<string, Entry>, metrics: Metrics) {
    this.#entries = entries
    this.#reads = new Counter({
      name: 'sluice_cache_reads_total',
      help: 'Keys looked up in the cache, by result: hit, miss or unavailable',
      labelNames: ['result'],
      registers: [metrics],
    })
    this.#evictions = new Counter({
      name: 'sluice_cache_evictions_total',
      help: 'Entries evicted to keep the cache within its bound',
      registers: [metrics],
    })
    gaugeOf(
      metrics,
      'sluice_cache_entries',
      'Entries in the cache, including expired ones not yet looked up or evicted',
      () => entries.size,
    )
  }

  async get(key: string): Promise<string | undefined> {
    const [value] = await this.getMany([key])
    return value
  }

  async getMany(keys: readonly string[]): Promise<readonly (string | undefined)[]> {
    const now = performance.now()
    const values = keys.map((key) => this.#find(key, now))
    const hits = values.filter((value) => value !== undefined).length
    if (hits > 0) this.#reads.inc({ result: 'hit' }, hits)
    if (hits < keys.length) this.#reads.inc({ result: 'miss' }, keys.length - hits)
    return values
  }

  async setMany(entries: readonly { readonly key: string; readonly value: string }[], ttlMs: number): Promise<void> {
    const expires = performance.now() + ttlMs
    let evicted = 0
    for (const { key, value } of entries) {
      this.#remove(key)
      const entry = { key, value, expires }
      if (unitsOf(entry) > MAX_UNITS) continue
      this.#units += unitsOf(entry)
      let dropped = this.#entries.set(key, entry)
      if (dropped === undefined && this.#units > MAX_UNITS) dropped = this.#entries.dropOldest()
      while (dropped !== undefined) {
        this.#units -= unitsOf(dropped)
        evicted += 1
        dropped = this.#units > MAX_UNITS ? this.#entries.dropOldest() : undefined
      }
    }
    if (evicted > 0) this.#evictions.inc(evicted)
  }

  async delete(keys: readonly string[]): Promise<void> {
    for (const key of keys) this.#remove(key)
  }

  async close(): Promise<void> {
    this.#entries.clear()
    this.#units = 0
  }

  #find(key: string, now: number): string | undefined {
    const entry = this.#entries.get(key)
    if (entry === undefined || entry.expires > now) return entry?.value
    this.#remove(key)
    return undefined
  }

  #remove(key: string): void {
    const entry = this.#entries.peek(key)
    if (entry === undefined) return
    this.#units -= unitsOf(entry)
    this.#entries.delete(key)
  }
}

function unitsOf({ key, value }: Entry): number {
  return key.length + value.length
}
