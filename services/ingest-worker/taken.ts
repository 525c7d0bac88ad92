// Invariant: what is committed with a position is what was taken before it, neither more nor less. So a record that is
// read again is judged as it was the first time, and a copy that comes later than its original is known for one.
import { MAX_NOTE } from '../../shared/log/port.ts'
import { readFrom, type From } from '../../shared/record.ts'
import type { LogRecord } from '../../shared/telemetry.ts'

const NO_REPEATS: ReadonlySet<number> = new Set()

/** What a run of records changed. */
export interface Looked {
  /** Indices of records that were taken before. */
  readonly repeats: ReadonlySet<number>
  /** What is taken behind the run, for the position; undefined where that is what it was before. */
  readonly note: string | undefined
}

/**
 * How far one partition has taken what was handed on to it, by the partition that it comes from. Whoever hands on does it
 * in the order of its log, and begins again at a position before which all is handed on: so everything at or below the
 * highest that was taken is a repeat. Bounded by what a position can hold, which is some 60 sources in use; the source of which
 * nothing came for longest is forgotten first, and its late copies are taken for new ones.
 */
export class Taken {
  /** By log and partition; the one that was last taken from comes last. */
  readonly #highest: Map<string, Pick<From, 'offset' | 'element'>>

  constructor() {
    this.#highest = new Map()
  }

  /** Inverse of the notes of {@link look}. */
  static read(note: string | undefined): Taken {
    const taken = new Taken()
    for (const text of note?.split(' ') ?? []) {
      const from = readFrom(text)
      if (from !== undefined) taken.#highest.set(`${from.log}/${from.partition}`, from)
    }
    return taken
  }

  /** To be called with every record of the partition, in order. */
  look(records: readonly LogRecord[]): Looked {
    let repeats: Set<number> | undefined
    let isChanged = false
    for (let index = 0; index < records.length; index++) {
      const text = records[index]?.headers?.['from']
      const from = text === undefined ? undefined : readFrom(text)
      if (from === undefined) continue
      if (this.#take(from)) isChanged = true
      else (repeats ??= new Set()).add(index)
    }
    return { repeats: repeats ?? NO_REPEATS, note: isChanged ? this.#note() : undefined }
  }

  /** False for what was taken before. */
  #take({ log, partition, offset, element }: From): boolean {
    const source = `${log}/${partition}`
    const highest = this.#highest.get(source)
    if (highest !== undefined && (offset - highest.offset || element - highest.element) <= 0) return false
    this.#highest.delete(source)
    this.#highest.set(source, { offset, element })
    return true
  }

  #note(): string {
    const texts = Array.from(this.#highest, ([source, { offset, element }]) => `${source}/${offset}/${element}`)
    let length = texts.reduce((sum, text) => sum + text.length + 1, 0)
    for (const source of this.#highest.keys()) {
      if (length <= MAX_NOTE) break
      length -= (texts.shift()?.length ?? 0) + 1
      this.#highest.delete(source)
    }
    return texts.join(' ')
  }
}
