import { toSluiceError } from '../../../shared/errors.ts'
import type { Logger } from '../../../shared/process/logger.ts'
import { splitLine, type Mesh } from '../../../shared/mesh/mesh.ts'
import { fromNowOn, willDelayOf } from '../../../shared/mqtt/message-properties.ts'
import type { Lease } from '../../../shared/sessions/port.ts'
import type { Fence } from './fence.ts'
import { principalOf } from '../../../shared/sessions/client-id.ts'
import { decodeMessage, encodeMessage, type Message } from '../../../shared/sessions/message.ts'
import { DUE_WILLS, KEEP_WILLS, POSTPONE, WILL_DONE } from './will-delay-scripts.ts'

type PublishWill = (will: Message, principal: string) => Promise<boolean>

/** Wills of connections that ended while Redis was down; beyond it the oldest is dropped. */
const MAX_OWED = 10_000
/** Wills that a node takes together, with one beat, and that it is publishing at most. */
const AT_ONCE = 100
const PER_BEAT = 1_000
const MAX_PUBLISHING = 1_000
/** A will that its node is not publishing any more is any node's again after this. */
const TAKEN_MS = 10_000

/**
 * Wills whose clients are gone. They wait in Redis, so that it does not matter which node lives when they are due; one
 * whose client connects again, wherever, is none any more.
 */
export class SharedWillDelay {
  readonly #mesh: Mesh
  readonly #fence: Fence
  readonly #logger: Logger
  readonly #publishing = new Set<string>()
  readonly #owed = new Map<string, { readonly lease: Lease; readonly will: Message; readonly dueAt: number }>()

  constructor(mesh: Mesh, fence: Fence, logger: Logger) {
    this.#mesh = mesh
    this.#fence = fence
    this.#logger = logger
  }

  get size(): number {
    return this.#publishing.size + this.#owed.size
  }

  /** The will waits for its delay from now on. Never rejects for Redis: while that is down the will is owed. */
  async postpone(lease: Lease, will: Message): Promise<void> {
    try {
      await this.#put(lease, will, willDelayOf(will) * 1000)
    } catch (error) {
      if (toSluiceError(error).code !== 'redis_unavailable') throw error
      this.owe(lease, will)
    }
  }

  /** Whether the will is true could not be asked: it is when Redis is back. */
  owe(lease: Lease, will: Message): void {
    this.#owed.delete(lease.clientId)
    this.#owed.set(lease.clientId, { lease, will, dueAt: performance.now() + willDelayOf(will) * 1000 })
    if (this.#owed.size <= MAX_OWED) return
    const [oldest] = this.#owed.keys()
    if (oldest !== undefined) this.#owed.delete(oldest)
  }

  /** Error: `redis_unavailable`. */
  async settle(): Promise<void> {
    for (const [clientId, owed] of this.#owed) {
      const isBack = this.#fence.leaseOf(clientId) !== undefined
      if (!isBack) await this.#put(owed.lease, owed.will, Math.max(0, Math.round(owed.dueAt - performance.now())))
      // Meanwhile its client may have come and gone.
      if (this.#owed.get(clientId) === owed) this.#owed.delete(clientId)
    }
  }

  /**
   * Begins to publish what is due, whichever node its client had, and keeps what it is publishing from other nodes: with
   * Kafka or MariaDB down that may take long. To be called with every beat. Error: `redis_unavailable`.
   */
  async beginDue(publish: PublishWill): Promise<void> {
    const { link } = this.#mesh
    if (this.#publishing.size > 0) await link.eval(KEEP_WILLS, TAKEN_MS, ...this.#publishing)
    for (let taken = 0; taken < PER_BEAT; taken += AT_ONCE) {
      const room = Math.min(AT_ONCE, MAX_PUBLISHING - this.#publishing.size)
      if (room <= 0) return
      // That is the answer of the script.
      const due = (await link.eval(DUE_WILLS, room, TAKEN_MS)) as readonly string[]
      for (const clientId of due) if (!this.#publishing.has(clientId)) void this.#publish(clientId, publish)
      if (due.length < room) return
    }
  }

  /** Removes it when it is published: should this node die in between, another one publishes it again. Never rejects. */
  async #publish(clientId: string, publish: PublishWill): Promise<void> {
    const { link } = this.#mesh
    this.#publishing.add(clientId)
    try {
      const record = await link.run((redis) => redis.getBuffer(`sluice:will:${clientId}`))
      if (record === null) return
      const [head, bytes] = splitLine(record)
      const isDone = await publish(publishedNow(decodeMessage(bytes)), principalOf(clientId).name)
      if (isDone) await link.eval(WILL_DONE, clientId, head.split(' ')[0] ?? '')
    } catch (error) {
      const { code, message } = toSluiceError(error)
      const isAway = code === 'redis_unavailable' || code === 'registry_unavailable'
      this.#logger[isAway ? 'debug' : 'error'](
        { clientId, detail: message },
        'a will could not be published yet; retrying',
      )
    } finally {
      this.#publishing.delete(clientId)
    }
  }

  async #put({ principal, clientId, epoch }: Lease, will: Message, ms: number): Promise<void> {
    await this.#mesh.link.eval(POSTPONE, principal, clientId, epoch ?? '', ms, encodeMessage(will))
  }
}

/** A will lives from when it is published; one without a delay that was owed, from when it was due. */
function publishedNow(will: Message): Message {
  if (will.properties?.will === undefined) return will
  const properties = fromNowOn(will.properties)
  return { ...will, properties, expiresMs: properties.expiresAt }
}
