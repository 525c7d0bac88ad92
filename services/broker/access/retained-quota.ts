import { ELSEWHERE, placeOf, type RetainedBounds } from '../../../shared/sessions/bounds.ts'
import { sizeOf, type KeptMessage } from '../../../shared/mqtt/message-properties.ts'

/** Keeps count of retained messages that are in memory, as the stores do of theirs. */
export class RetainedQuota {
  readonly #bounds: RetainedBounds
  readonly #sizes = new Map<string, number>()
  readonly #places = new Map<string, { topics: number; bytes: number }>()
  #bytes = 0

  constructor(bounds: RetainedBounds) {
    this.#bounds = bounds
  }

  topics(): IterableIterator<string> {
    return this.#sizes.keys()
  }

  /** Whether the message may take the place of what its topic had, which is gone in any case. */
  take(message: KeptMessage): boolean {
    const { topic } = message
    const size = sizeOf(message)
    this.leave(topic)
    const place = placeOf(topic)
    const used = this.#places.get(place) ?? { topics: 0, bytes: 0 }
    if (!this.#fits(place, used, size)) return false
    this.#sizes.set(topic, size)
    this.#places.set(place, used)
    used.topics += 1
    used.bytes += size
    this.#bytes += size
    return true
  }

  /** The topic has no message any more. */
  leave(topic: string): void {
    const place = placeOf(topic)
    const size = this.#sizes.get(topic)
    const used = this.#places.get(place)
    if (size === undefined || used === undefined) return
    this.#sizes.delete(topic)
    used.topics -= 1
    used.bytes -= size
    this.#bytes -= size
    if (used.topics === 0) this.#places.delete(place)
  }

  #fits(place: string, used: { topics: number; bytes: number }, size: number): boolean {
    const { topics, bytes, deviceTopics, deviceBytes } = this.#bounds
    if (this.#sizes.size >= topics || this.#bytes + size > bytes) return false
    return place === ELSEWHERE || (used.topics < deviceTopics && used.bytes + size <= deviceBytes)
  }
}
