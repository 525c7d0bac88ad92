import { LruMap } from '../../../shared/lru.ts'
import { crc32OfShort } from './short-crc.ts'
import type { Digest } from './unreleased.ts'

/** Messages that are remembered of one connection. */
const MOST = 64
/** Numbers per message: packet id, digest, receive stamp. */
const FIELDS = 4
/** Added to the id of a message of QoS 2. */
const EXACTLY_ONCE = 1 << 16
/**
 * An answer that left this long before its client was last heard has arrived: the same id and bytes are a new message
 * then. Half of the usual keepalive, so that a client that only pings is told from one that waits.
 */
const ARRIVED_MS = 30_000
/** Sessions without connection whose last messages are remembered: 2 KiB each at most. */
const MAX_SESSIONS = 10_000
/** Of the set of ids that may come again: with 64 of them one of sixteen others has to be looked for. */
const ID_BITS = 1_024
/** Bits of the payload's length in a digest. */
const LENGTH = 2 ** 21

/**
 * CRC-32, continued from that of the topic, finds every change of up to four bytes in a row: readings that differ in one
 * number never look alike.
 */
export function digestOf(topicSum: number, payload: Uint8Array): Digest {
  return crc32OfShort(payload, topicSum) * LENGTH + (payload.byteLength % LENGTH)
}

function keyOf(id: number, qos: number): number {
  return qos === 2 ? id | EXACTLY_ONCE : id
}

/** When a message was received first. */
export interface FirstStamp {
  readonly ms: number
  readonly ns: number
}

/** The last messages of QoS 1 and 2 of one connection, in the order in which they came: a ring of numbers. */
export class RecentMessages {
  #ring: Float64Array | undefined
  #count = 0

  note(id: number, qos: number, digest: Digest, ms: number, ns: number): void {
    const ring = (this.#ring ??= new Float64Array(MOST * FIELDS))
    const at = (this.#count % MOST) * FIELDS
    ring[at] = keyOf(id, qos)
    ring[at + 1] = digest
    ring[at + 2] = ms
    ring[at + 3] = ns
    this.#count += 1
  }

  /**
   * What its client may repeat on the next connection, oldest first; undefined when that is nothing. The last
   * `unanswered` have no acknowledgement. Of the others those of QoS 2 are left to the ids that are written down, and those
   * of QoS 1 must have been sent shortly before the client was last heard, at `heardMs`.
   */
  repeatable(unanswered: number, heardMs: number): Repeatable | undefined {
    const ring = this.#ring
    if (ring === undefined) return undefined
    const kept = new Float64Array(MOST * FIELDS)
    let length = 0
    for (let number = Math.max(0, this.#count - MOST); number < this.#count; number += 1) {
      const from = (number % MOST) * FIELDS
      const mayBeUnknown = (ring[from] ?? 0) < EXACTLY_ONCE && heardMs - (ring[from + 2] ?? 0) < ARRIVED_MS
      if (number < this.#count - unanswered && !mayBeUnknown) continue
      for (let i = 0; i < FIELDS; i++) kept[length + i] = ring[from + i] ?? 0
      length += FIELDS
    }
    return length === 0 ? undefined : new Repeatable(kept.slice(0, length))
  }
}

/** Messages of the connection before that may come again. */
export class Repeatable {
  readonly #messages: Float64Array
  /** A bit for every id modulo 1,024 that one of them had: each message of the connection asks. */
  readonly #ids = new Uint32Array(ID_BITS / 32)

  constructor(messages: Float64Array) {
    this.#messages = messages
    this.#noteIds()
  }

  #noteIds(): void {
    const messages = this.#messages
    this.#ids.fill(0)
    for (let at = 0; at < messages.length; at += FIELDS) {
      const id = (messages[at] ?? 0) & 0xffff
      const bit = id % ID_BITS
      if (id !== 0) this.#ids[bit >>> 5] = (this.#ids[bit >>> 5] ?? 0) | (1 << (bit & 31))
    }
  }

  /**
   * The stamp of the first copy of what comes now. Two messages alike show that the client uses an id again for
   * the same bytes: in doubt it is none of them.
   */
  find(id: number, qos: number, digest: Digest): FirstStamp | undefined {
    const messages = this.#messages
    const key = keyOf(id, qos)
    let found = -1
    for (let at = 0; at < messages.length; at += FIELDS) {
      if (messages[at] !== key || messages[at + 1] !== digest) continue
      const isSame = messages[at + 2] === messages[found + 2] && messages[at + 3] === messages[found + 3]
      if (found >= 0 && !isSame) return undefined
      found = at
    }
    return found < 0 ? undefined : { ms: messages[found + 2] ?? 0, ns: messages[found + 3] ?? 0 }
  }

  /** The id is another message's from now on. */
  forget(id: number): void {
    const bit = id % ID_BITS
    if (((this.#ids[bit >>> 5] ?? 0) & (1 << (bit & 31))) === 0) return
    const messages = this.#messages
    let isFound = false
    for (let at = 0; at < messages.length; at += FIELDS) {
      if (((messages[at] ?? 0) & 0xffff) !== id) continue
      messages[at] = 0
      isFound = true
    }
    if (isFound) this.#noteIds()
  }
}

interface Left {
  readonly epoch: string | undefined
  readonly messages: Repeatable
}

/** The last messages of sessions whose connection has ended on this node. */
export class RecentSessions {
  readonly #sessions = new LruMap<string, Left>(MAX_SESSIONS)

  get size(): number {
    return this.#sessions.size
  }

  /** The connection of that epoch has ended. */
  leave(clientId: string, epoch: string | undefined, messages: Repeatable | undefined): void {
    if (messages === undefined) this.#sessions.delete(clientId)
    else this.#sessions.set(clientId, { epoch, messages })
  }

  /** What the connection of that epoch left, if none was since. It is remembered no longer. */
  take(clientId: string, epoch: string | undefined): Repeatable | undefined {
    const left = this.#sessions.peek(clientId)
    this.#sessions.delete(clientId)
    return left?.epoch === epoch ? left?.messages : undefined
  }

  forget(clientId: string): void {
    this.#sessions.delete(clientId)
  }
}
