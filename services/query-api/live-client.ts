import { Readable } from 'node:stream'
import type { DeviceNames } from '../../shared/registry/names-port.ts'
import type { FoundLetter } from './letter-reader.ts'
import { letterMatches } from './letters.ts'
import { isOwner, type OwnerFilter } from './owners.ts'

/** Characters that wait for one slow client; beyond it the oldest events go. */
const MAX_QUEUED_LENGTH = 1_048_576
/** Readings and warnings sent to one client in a second: what a person or a chart can still follow. */
const MAX_EVENTS_PER_SECOND = 500

export type LiveFilter = OwnerFilter

/** One live view: the body of its answer. What it is too slow for, or too much, is skipped and told. */
export class LiveClient extends Readable {
  readonly #filter: LiveFilter
  readonly #names: DeviceNames
  readonly #queue: string[] = []
  #queuedLength = 0
  #allowance = MAX_EVENTS_PER_SECOND
  #skipped = 0
  #wanted = false

  constructor(filter: LiveFilter, names: DeviceNames) {
    super()
    this.#filter = filter
    this.#names = names
  }

  wantsKey(key: string): boolean {
    return isOwner(this.#names, this.#filter, key)
  }

  wantsLetter(letter: FoundLetter): boolean {
    return letterMatches(this.#names, this.#filter, letter)
  }

  /** Spends one of this second's events; false, and counted as skipped, when they are used up. */
  spend(): boolean {
    if (this.#allowance > 0) {
      this.#allowance -= 1
      return true
    }
    this.#skipped += 1
    return false
  }

  skip(records: number): void {
    this.#skipped += records
  }

  /** Puts what happened before the client came in front of what happened since. To be called before it is read. */
  begin(events: readonly string[]): void {
    this.#queue.unshift(...events)
    for (const event of events) this.#queuedLength += event.length
  }

  offer(event: string): void {
    this.#queue.push(event)
    this.#queuedLength += event.length
    while (this.#queuedLength > MAX_QUEUED_LENGTH) {
      this.#queuedLength -= this.#queue.shift()?.length ?? this.#queuedLength
      this.#skipped += 1
    }
    this.#flush()
  }

  /** A new second: tells what was skipped, unless more waits already. Returns how many records were told. */
  tick(): number {
    this.#allowance = MAX_EVENTS_PER_SECOND
    const skipped = this.#skipped
    // In a queue that is not empty the notice itself could be dropped.
    if (skipped === 0 || this.#queue.length > 0) return 0
    this.#skipped = 0
    this.offer(formatEvent('skipped', { records: skipped }))
    return skipped
  }

  /** Records that were skipped and not told yet. */
  get untold(): number {
    return this.#skipped
  }

  /** Ends the answer; one that its client does not read is cut off, because it would never end. */
  end(): void {
    if (this.#wanted) this.push(null)
    else this.destroy()
    this.#wanted = false
  }

  override _read(): void {
    this.#wanted = true
    this.#flush()
  }

  #flush(): void {
    while (this.#wanted) {
      const event = this.#queue.shift()
      if (event === undefined) return
      this.#queuedLength -= event.length
      this.#wanted = this.push(event)
    }
  }
}

export function formatEvent(event: string, data: unknown): string {
  return `event: ${event}\ndata: ${JSON.stringify(data)}\n\n`
}
