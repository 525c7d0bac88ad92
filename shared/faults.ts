import type { ErrorCode } from './errors.ts'

/** What is wrong with a field, with a reading, or with a record as a whole. */
export interface Fault {
  /** Index of the reading in its payload, 0 for a single one; null: the record as a whole. */
  readonly element: number | null
  /**
   * The field, by the name under which it would be stored: nested names joined with `.`, whatever the format of the
   * payload. Null: the reading as a whole.
   */
  readonly path: string | null
  readonly code: ErrorCode
  /** What exactly was wrong, for a person. */
  readonly detail: string
}

/** Faults of one record that are kept one by one; the others are only counted. */
export const MAX_FAULTS = 100

/** The faults of one record, in the order in which they were found: the first hundred, and how many of each code. */
export class Faults {
  readonly first: Fault[] = []
  readonly counts = new Map<ErrorCode, number>()

  /** The faults of `first`, which are all there are unless `counts` says otherwise. */
  static of(first: readonly Fault[], counts?: Iterable<readonly [ErrorCode, number]>): Faults {
    const faults = new Faults()
    for (const fault of first) faults.add(fault)
    for (const [code, count] of counts ?? []) faults.counts.set(code, count)
    return faults
  }

  add(fault: Fault): void {
    if (this.first.length < MAX_FAULTS) this.first.push(fault)
    this.#count(fault.code, 1)
  }

  addAll(other: Faults): void {
    this.first.push(...other.first.slice(0, MAX_FAULTS - this.first.length))
    for (const [code, count] of other.counts) this.#count(code, count)
  }

  /** All of them, those that are not kept one by one too. */
  get total(): number {
    return [...this.counts.values()].reduce((sum, count) => sum + count, 0)
  }

  #count(code: ErrorCode, count: number): void {
    this.counts.set(code, (this.counts.get(code) ?? 0) + count)
  }
}

/** The only fault of a record, or of a message that is no record yet. */
export function faultOfRecord(code: ErrorCode, detail: string): Fault {
  return { element: null, path: null, code, detail }
}
