import { toSluiceError } from '../../../shared/errors.ts'
import { splitLine, type Mesh } from '../../../shared/mesh/mesh.ts'
import { fromNowOn } from '../message-properties.ts'
import type { Fence, Lease } from './fence.ts'
import { decodeMessage, encodeMessage, principalOf, type Message } from './messages.ts'
import { DUE_WILLS, POSTPONE, WILL_DONE } from './will-scripts.ts'

type PublishWill = (will: Message, principal: string) => Promise<void>

/** Wills of connections that ended while Redis was away; beyond it the oldest is dropped. */
const MAX_OWED = 10_000
/** Wills that a node takes together, and with one beat: all others wait for it. */
const AT_ONCE = 100
const PER_BEAT = 1_000
/** A will that is not published by then, because its node has died or the registry is away, is any node's again. */
const TAKEN_MS = 10_000

/**
 * Wills whose clients are gone. They wait in Redis, so that it does not matter which node lives when they are due; one
 * whose client connects again, wherever, is none any more.
 */
export class WaitingWills {
  readonly #mesh: Mesh
  readonly #fence: Fence
  readonly #owed = new Map<string, { readonly lease: Lease; readonly will: Message; readonly dueAt: number }>()

  constructor(mesh: Mesh, fence: Fence) {
    this.#mesh = mesh
    this.#fence = fence
  }

  /** The will waits for its delay from now on. Never rejects for Redis: while that is away the will is owed. */
  async postpone(lease: Lease, will: Message): Promise<void> {
    try {
      await this.#put(lease, will, delayOf(will) * 1000)
    } catch (error) {
      if (toSluiceError(error).code !== 'redis_unavailable') throw error
      this.owe(lease, will)
    }
  }

  /** Whether the will is true could not be asked: it is when Redis is back. */
  owe(lease: Lease, will: Message): void {
    this.#owed.delete(lease.clientId)
    this.#owed.set(lease.clientId, { lease, will, dueAt: performance.now() + delayOf(will) * 1000 })
    if (this.#owed.size <= MAX_OWED) return
    const [oldest] = this.#owed.keys()
    if (oldest !== undefined) this.#owed.delete(oldest)
  }

  /** Error: `redis_unavailable`. */
  async settle(): Promise<void> {
    for (const [clientId, { lease, will, dueAt }] of this.#owed) {
      const isBack = this.#fence.leaseOf(clientId) !== undefined
      if (!isBack) await this.#put(lease, will, Math.max(0, Math.round(dueAt - performance.now())))
      this.#owed.delete(clientId)
    }
  }

  /** Publishes what is due, whichever node its client had; several nodes may do it at once. Error: `redis_unavailable`. */
  async publishDue(publish: PublishWill): Promise<void> {
    for (let taken = 0; taken < PER_BEAT; taken += AT_ONCE) {
      // That is the answer of the script.
      const due = (await this.#mesh.link.eval(DUE_WILLS, AT_ONCE, TAKEN_MS)) as readonly string[]
      await Promise.all(due.map((clientId) => this.#publish(clientId, publish)))
      if (due.length < AT_ONCE) return
    }
  }

  /** It is removed when it is published: should this node die in between, another one publishes it again. */
  async #publish(clientId: string, publish: PublishWill): Promise<void> {
    const { link } = this.#mesh
    const record = await link.run((redis) => redis.getBuffer(`sluice:will:${clientId}`))
    if (record === null) return
    const [head, bytes] = splitLine(record)
    if (!(await isPublished(publish(publishedNow(decodeMessage(bytes)), principalOf(clientId).name)))) return
    await link.eval(WILL_DONE, clientId, head.split(' ')[0] ?? '')
  }

  async #put({ principal, clientId, epoch }: Lease, will: Message, ms: number): Promise<void> {
    await this.#mesh.link.eval(POSTPONE, principal, clientId, epoch ?? '', ms, encodeMessage(will))
  }
}

/** Seconds that a will waits for its client. */
export function delayOf({ properties }: Message): number {
  return properties?.will?.delay ?? 0
}

/** A will lives from when it is published. */
function publishedNow(will: Message): Message {
  if (will.properties === undefined) return will
  const properties = fromNowOn(will.properties)
  return { ...will, properties, expiresMs: properties.expiresAt }
}

/** False while the registry cannot tell whether the will is still allowed. */
async function isPublished(publishing: Promise<void>): Promise<boolean> {
  try {
    await publishing
    return true
  } catch (error) {
    if (toSluiceError(error).code !== 'registry_unavailable') throw error
    return false
  }
}
