import type { Faults } from '../../../shared/faults.ts'

/**
 * What of a record its letter names: fields, whole readings, or the record as a whole. The letter of a record with more
 * faults than are kept one by one names all of it.
 */
export class Named {
  readonly #isAll: boolean
  /** By element its fields; null: all of them. */
  readonly #fields = new Map<number, Set<string> | null>()

  constructor(faults: Faults) {
    this.#isAll = faults.total > faults.first.length || faults.first.some(({ element }) => element === null)
    for (const { element, path } of faults.first) {
      if (element === null) continue
      const known = this.#fields.get(element)
      if (path === null) this.#fields.set(element, null)
      else if (known !== null) this.#fields.set(element, (known ?? new Set()).add(path))
    }
  }

  /** Null stands for the record, or the reading, as a whole. What is within a field that is named is named, too. */
  has(element: number | null, field: string | null): boolean {
    if (this.#isAll) return true
    if (element === null) return this.#fields.size > 0
    const fields = this.#fields.get(element)
    if (fields === undefined || fields === null) return fields === null
    if (field === null) return true
    return fields.has(field) || [...fields].some((path) => field.startsWith(`${path}.`))
  }
}
