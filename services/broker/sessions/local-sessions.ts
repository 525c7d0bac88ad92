import { SluiceError } from '../../../shared/errors.ts'
import { principalOf } from '../cluster/messages.ts'
import type { Persistence } from './aedes-internals.ts'
import type { SessionWish, SharedLease, SharedSessions } from '../cluster/shared-sessions.ts'

/** The persistent sessions of the only node, which are in memory: as many as a login may have. */
export class LocalSessions implements SharedSessions<SharedLease> {
  readonly #persistence: Persistence
  readonly #max: number
  readonly #forgetUnreleased: (clientId: string) => Promise<void>
  /** By login: client ids, and whether a connection holds the session. */
  readonly #logins = new Map<string, Map<string, boolean>>()

  constructor(persistence: Persistence, max: number, forgetUnreleased: (clientId: string) => Promise<void>) {
    this.#persistence = persistence
    this.#max = max
    this.#forgetUnreleased = forgetUnreleased
  }

  /** Error: `session_limit`. */
  async claim(clientId: string, { clean, isNew }: Pick<SessionWish, 'clean' | 'isNew'>): Promise<SharedLease> {
    const { name } = principalOf(clientId)
    const own = this.#logins.get(name) ?? new Map<string, boolean>()
    const isPresent = !clean && isNew !== true && own.has(clientId)
    if (clean) {
      if (own.has(clientId)) await this.discard(clientId, true)
    } else {
      if (!own.has(clientId) && own.size >= this.#max) {
        throw new SluiceError('session_limit', `${name} has ${own.size} persistent sessions`)
      }
      this.#logins.set(name, own.set(clientId, true))
    }
    return { clientId, epoch: undefined, isPresent }
  }

  release({ clientId }: SharedLease): void {
    const own = this.#logins.get(principalOf(clientId).name)
    if (own?.has(clientId) === true) own.set(clientId, false)
  }

  /** Removes all that is kept for a session; a connection that holds it and is not leaving keeps an empty one. */
  async discard(clientId: string, isLeaving: boolean): Promise<void> {
    await discardStored(this.#persistence, clientId)
    await this.#forgetUnreleased(clientId)
    const { name } = principalOf(clientId)
    const own = this.#logins.get(name)
    if (own === undefined || (own.get(clientId) === true && !isLeaving)) return
    own.delete(clientId)
    if (own.size === 0) this.#logins.delete(name)
  }

  /** The sessions of a login that is no more. */
  async forget(principal: string): Promise<void> {
    for (const clientId of [...(this.#logins.get(principal)?.keys() ?? [])]) await this.discard(clientId, false)
  }
}

/** Its subscriptions, the messages that wait for it, and what it has open of QoS 2. */
async function discardStored(persistence: Persistence, clientId: string): Promise<void> {
  const client = { id: clientId }
  await persistence.cleanSubscriptions(client)
  let unnamed = 0
  for await (const waiting of persistence.outgoingStream(client)) {
    // A message that was never sent has no id by which it could be cleared.
    const packet = waiting as { messageId?: number }
    if (packet.messageId === undefined) {
      packet.messageId = unnamed += 1
      await persistence.outgoingUpdate(client, packet)
    }
    await persistence.outgoingClearMessageId(client, packet)
  }
  await persistence.cleanIncoming(client)
}
