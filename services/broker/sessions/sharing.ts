import { toSluiceError } from '../../../shared/errors.ts'
import type { Logger } from '../../../shared/process/logger.ts'
import { propertiesOf, type Message } from '../../../shared/sessions/message.ts'
import type { Lease, SessionStore, SharedMessage } from '../../../shared/sessions/port.ts'
import type { Cluster } from '../cluster/cluster.ts'
import type { Copy } from '../cluster/copies.ts'
import type { SharedGroups, Turn } from '../telemetry/shared-groups.ts'
import type { AedesInternals } from './aedes-internals.ts'
import { sharedAs, storedAs, type SessionEmitter } from './session-emitter.ts'

/** aedes' client, as far as messages are handed to it. */
export type DeliverTo = (clientId: string) => Pick<AedesInternals, 'deliverQoS' | 'connected'> | undefined

export interface SharingOptions {
  readonly groups: SharedGroups
  readonly store: Pick<SessionStore, 'onShared' | 'queue' | 'leaseOf'>
  readonly emitter: SessionEmitter
  readonly cluster: Pick<Cluster, 'sendShared' | 'sendSharedCopies'> | undefined
  readonly clientOf: DeliverTo
  /** Telemetry for a client of this node. */
  readonly copyTo: (topic: string, payload: Uint8Array, clientId: string) => void
  readonly logger: Logger
}

/**
 * Messages for groups of shared subscriptions. Whose turn it is with a message of QoS 1 or 2 the store says, which keeps
 * it for that member; all other messages go to the member that this node, which took them, chooses.
 */
export class Sharing {
  readonly #options: SharingOptions
  /** Sessions that something came for before aedes had let their client in. */
  readonly #missed = new WeakSet<Lease>()

  constructor(options: SharingOptions) {
    this.#options = options
    options.store.onShared((shared, done) => this.#hand(shared, done))
  }

  /** A message of QoS 0, to one member of each group that wants it. */
  send(message: Message): void {
    for (const turn of this.#options.groups.next(message.topic)) this.#send(turn, message, [])
  }

  /** Telemetry that is in the log, each to one member of each group that wants it. Returns how many copies were sent. */
  copy(copies: readonly Copy[]): number {
    const { groups, cluster, copyTo } = this.#options
    const elsewhere = new Map<string, Copy[]>()
    let sent = 0
    for (const { topic, payload } of copies) {
      for (const { clientId, node } of groups.next(topic)) {
        if (node === undefined) {
          copyTo(topic, payload, clientId)
          continue
        }
        const own = elsewhere.get(node) ?? []
        own.push({ topic: `${clientId}\n${topic}`, payload })
        elsewhere.set(node, own)
        sent += 1
      }
    }
    for (const [node, own] of elsewhere) cluster?.sendSharedCopies(node, own)
    return sent
  }

  /** aedes has let the client in: it gets what came meanwhile. Never rejects. */
  async ready(clientId: string): Promise<void> {
    const { store, logger } = this.#options
    const lease = store.leaseOf(clientId)
    if (lease === undefined || !this.#missed.delete(lease)) return
    try {
      await this.handOut(lease)
    } catch (error) {
      // It is kept, for the next connection or another member.
      logger.debug({ clientId, detail: toSluiceError(error).message }, 'the queue of a session could not be read')
    }
  }

  /** Hands out what the session keeps for its client, which is connected, and did not give it. Errors: those of the store. */
  async handOut(lease: Lease): Promise<void> {
    const { store, emitter, clientOf } = this.#options
    const { clientId, sent } = lease
    for await (const { number, messageId, message } of store.queue(clientId)) {
      if (messageId !== undefined || [...sent.values()].includes(number)) continue
      const identity = lease.clean ? sharedAs(Number(number)) : storedAs(Number(number))
      emitter.within(identity, () => clientOf(clientId)?.deliverQoS(packetOf(message), () => undefined))
    }
  }

  #send({ clientId, share, node }: Turn, message: Message, tried: readonly string[]): void {
    const { cluster, groups } = this.#options
    const shared = { clientId, share, number: 0, message }
    if (node === undefined) return this.#hand(shared, () => undefined)
    void cluster?.sendShared(node, shared).then((isThere) => {
      if (isThere) return
      // The node has gone a moment ago: each node is tried once.
      const gone = [...tried, node]
      const next = groups.next(message.topic, gone).find((other) => other.share === share)
      if (next !== undefined) this.#send(next, message, gone)
    })
  }

  #hand({ clientId, number, message }: SharedMessage, done: () => void): void {
    const { store, emitter, clientOf } = this.#options
    const client = clientOf(clientId)
    if (client?.connected !== true) {
      const lease = store.leaseOf(clientId)
      if (lease !== undefined) this.#missed.add(lease)
      return done()
    }
    if (number === 0) client.deliverQoS(packetOf(message), done)
    else emitter.within(sharedAs(number), () => client.deliverQoS(packetOf(message), done))
  }
}

/** Without a broker's id aedes takes it for no repetition. */
function packetOf(message: Message): object {
  const { topic, payload, qos } = message
  const fields = { cmd: 'publish', topic, payload, qos, retain: false, dup: false, ...propertiesOf(message) }
  return { ...fields, brokerId: undefined }
}
