/**
 * Values that can be lost at any time without losing data. Keys are strings, values are JSON. Bounded. A cache that is
 * away answers at once: reads find nothing, writes are dropped and counted, and nothing rejects.
 */
export interface Cache {
  /** False while the cache is unreachable: what was not found may be there. */
  readonly available: boolean
  get(key: string): Promise<string | undefined>
  /** Values in the order of the keys. */
  getMany(keys: readonly string[]): Promise<readonly (string | undefined)[]>
  /** Kept at most `ttlMs` (whole milliseconds), or until the bound evicts it. */
  setMany(entries: readonly { readonly key: string; readonly value: string }[], ttlMs: number): Promise<void>
  /** Not read here again until set anew; a cache that is unreachable forgets the keys when it is back. */
  delete(keys: readonly string[]): Promise<void>
  close(): Promise<void>
}
