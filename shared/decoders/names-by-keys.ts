import { FieldNames } from './field-names.ts'

/** Different sets of keys of time in use; beyond it all are forgotten and learnt again. */
const MAX_SETS = 16

/** Field names by the keys that hold the time: what a key means is kept with it. */
export class NamesByKeys {
  /** By the list itself, of which each policy has one. */
  #byList = new WeakMap<readonly string[], FieldNames>()
  readonly #bySet = new Map<string, FieldNames>()

  of(timeKeys: readonly string[]): FieldNames {
    const known = this.#byList.get(timeKeys)
    if (known !== undefined) return known
    const id = JSON.stringify([...timeKeys].sort())
    if (this.#bySet.size >= MAX_SETS && !this.#bySet.has(id)) {
      this.#bySet.clear()
      this.#byList = new WeakMap()
    }
    const names = this.#bySet.get(id) ?? new FieldNames(timeKeys)
    this.#bySet.set(id, names)
    this.#byList.set(timeKeys, names)
    return names
  }
}
