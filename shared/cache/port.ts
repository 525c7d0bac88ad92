/** Values that can be lost at any time without losing data. Keys are strings, values are JSON. Bounded. */
export interface Cache {
  get(key: string): Promise<string | undefined>
  /** Values in the order of the keys. */
  getMany(keys: readonly string[]): Promise<readonly (string | undefined)[]>
  /** Kept at most `ttlMs` (whole milliseconds), or until the bound evicts it. */
  setMany(entries: readonly { readonly key: string; readonly value: string }[], ttlMs: number): Promise<void>
  delete(keys: readonly string[]): Promise<void>
  close(): Promise<void>
}
