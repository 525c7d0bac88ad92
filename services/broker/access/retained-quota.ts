import { sizeOf, type KeptMessage } from '../mqtt/message-properties.ts'

/** What may be retained, in all and by one device. */
export interface RetainedBounds {
  readonly topics: number
  readonly bytes: number
  readonly deviceTopics: number
  readonly deviceBytes: number
}

/**
 * The status of 100,000 devices, at 2.6 KiB each. A device has a few such topics; with a hundred, or four messages of the
 * longest, it takes a thousandth of the room, and a thousand of them have to be hostile to leave others none.
 */
export const MAX_RETAINED: RetainedBounds = {
  topics: 100_000,
  bytes: 256 * 1024 * 1024,
  deviceTopics: 100,
  deviceBytes: 256 * 1024,
}

/** Where messages are that belong to no device: only applications publish there. */
export const ELSEWHERE = 'elsewhere'

/** Whose message it is: `t/{tenant}/{device}`, or one place for all the rest. */
export function placeOf(topic: string): string {
  const [root, tenant, device] = topic.split('/', 4)
  return root === 't' && tenant !== undefined && device !== undefined ? `t/${tenant}/${device}` : ELSEWHERE
}

/** Keeps count of retained messages that are in memory. The script RETAIN does the same in Redis. */
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
