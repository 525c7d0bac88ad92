import type { Route } from '../../../shared/topic-routes.ts'

/** Streams of one device that are used in turn; more of them only cost a look-up each. */
const REMEMBERED = 8

interface Remembered {
  readonly bytes: Uint8Array
  readonly route: Route
}

/**
 * The routes of one connection's last topics, found by the bytes of the topic as they stand in the packet, so that the
 * usual PUBLISH makes no string. Newest use first; verdicts are kept for one epoch of the rules.
 */
export class RouteCache {
  #entries: Remembered[] = []
  #epoch = -1

  /** The route of the topic in `buffer` from `start` to `end`, or undefined when it must be looked up and `add`ed. */
  find(buffer: Uint8Array, start: number, end: number, epoch: number): Route | undefined {
    if (this.#epoch !== epoch) {
      this.#entries = []
      this.#epoch = epoch
      return undefined
    }
    const entries = this.#entries
    for (let index = 0; index < entries.length; index += 1) {
      const entry = entries[index]
      if (entry !== undefined && sameBytes(entry.bytes, buffer, start, end)) {
        if (index > 0) entries.unshift(...entries.splice(index, 1))
        return entry.route
      }
    }
    return undefined
  }

  add(bytes: Uint8Array, route: Route): void {
    this.#entries.unshift({ bytes, route })
    if (this.#entries.length > REMEMBERED) this.#entries.pop()
  }
}

/** From the end: topics of one device differ there. */
function sameBytes(bytes: Uint8Array, buffer: Uint8Array, start: number, end: number): boolean {
  let index = bytes.length
  if (index !== end - start) return false
  while (--index >= 0) if (bytes[index] !== buffer[start + index]) return false
  return true
}
