import type { StoredRow } from './messages.ts'

/**
 * The newest rows of one partition as they came back from the thread, so that a reader right behind the appends needs
 * no round trip. Bounded by bytes; what falls out is read from the files. Values read from it share its memory. A row that
 * takes less than half of its buffer is copied: at a low rate a row is one small record, and its buffer is 4 KiB.
 */
export class TailCache {
  readonly #limit: number
  readonly #rows: (StoredRow | undefined)[] = []
  #bytes = 0
  /** Places before this index are empty; the array is cut when they are many. */
  #first = 0

  constructor(limit: number) {
    this.#limit = limit
  }

  add(row: StoredRow): void {
    const { packed } = row
    const kept = packed.byteLength * 2 < packed.buffer.byteLength ? { ...row, packed: packed.slice() } : row
    this.#rows.push(kept)
    this.#bytes += kept.packed.buffer.byteLength
    while (this.#bytes > this.#limit && this.#first < this.#rows.length) this.#drop()
    if (this.#first > 256 && this.#first * 2 > this.#rows.length) {
      this.#rows.splice(0, this.#first)
      this.#first = 0
    }
  }

  /** The row that holds `offset`. */
  find(offset: number): StoredRow | undefined {
    let low = this.#first
    let high = this.#rows.length - 1
    while (low <= high) {
      const middle = (low + high) >> 1
      const row = this.#rows[middle]
      if (row === undefined || offset < row.firstOffset) high = middle - 1
      else if (offset >= row.firstOffset + row.records) low = middle + 1
      else return row
    }
    return undefined
  }

  #drop(): void {
    const row = this.#rows[this.#first]
    if (row === undefined) return
    this.#bytes -= row.packed.buffer.byteLength
    this.#rows[this.#first++] = undefined
  }
}
