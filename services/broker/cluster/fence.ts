// Invariant: of one client id only the holder of the highest epoch changes anything in Redis. Each claim takes the next
// epoch, and every write names its own: what an older holder writes changes nothing, however late it comes.
import { SluiceError, toSluiceError } from '../../../shared/errors.ts'
import type { Logger } from '../../../shared/process/logger.ts'
import type { Mesh } from '../../../shared/mesh/mesh.ts'
import { claimed } from './claim-answer.ts'
import { principalOf } from '../../../shared/sessions/client-id.ts'
import { NOTHING_LEFT, nothingHeld, type Lease, type SessionWish } from '../../../shared/sessions/port.ts'
import { CLAIM, CONFIRM, END_DUE, HOLDS, RELEASE } from './scripts.ts'
import { WILL_DUE } from './will-delay-scripts.ts'

const NOTHING_CLAIMED = { epoch: undefined, isPresent: false, hasMadeRoom: false, left: NOTHING_LEFT }

/** Arguments of {@link RELEASE}. */
type Release = readonly [principal: string, clientId: string, epoch: string, node: string, rest: number | '']

/** The connections of this node, as the fence needs them. */
export interface LocalHolders {
  /** Closes the connection that holds the id; resolves when it is gone, its last words spoken. */
  evict(clientId: string): Promise<void>
}

/** How long a client waits for its former node to let go; after that it is fenced off. */
const HAND_OVER_MS = 800
/** Sessions that are asked about together. */
const CHUNK = 500
/** Sessions that are ended by one script, and with one beat: all others wait for it. */
const ENDS_AT_ONCE = 100
const ENDS_PER_BEAT = 1_000
/** Sessions that could not be given back, a few hundred bytes each. */
const MAX_OWED = 10_000

/**
 * One live session per client id over all nodes: each connection takes the next epoch in Redis, and the holder of an
 * older one changes nothing any more.
 */
export class Fence {
  readonly #mesh: Mesh
  readonly #logger: Logger
  /** Persistent sessions of one login. */
  readonly #maxSessions: number
  readonly #leases = new Map<string, Lease>()
  readonly #owed: Release[] = []
  #holders: LocalHolders = { evict: () => Promise.resolve() }

  constructor(mesh: Mesh, logger: Logger, maxSessions: number) {
    this.#mesh = mesh
    this.#logger = logger
    this.#maxSessions = maxSessions
    mesh.onQuestion('take-over', async (clientId) => {
      await this.#holders.evict(clientId.toString())
      return Buffer.alloc(0)
    })
  }

  get size(): number {
    return this.#leases.size
  }

  attach(holders: LocalHolders): void {
    this.#holders = holders
  }

  leaseOf(clientId: string): Lease | undefined {
    return this.#leases.get(clientId)
  }

  leases(): IterableIterator<Lease> {
    return this.#leases.values()
  }

  /**
   * Takes the session, from another node if need be, which closes its connection first. Errors: `redis_unavailable`
   * for a persistent session (a clean one is let in without), `session_limit`.
   */
  async claim(clientId: string, wish: SessionWish): Promise<Lease> {
    const { name: principal, isApplication } = principalOf(clientId)
    const { clean, expiry } = wish
    const taken = await this.#takeEpoch(principal, clientId, wish)
    const lease: Lease = { clientId, principal, isApplication, clean, expiry, ...taken, ...nothingHeld() }
    this.#leases.set(clientId, lease)
    return lease
  }

  /** The connection is about to end, and the session so many seconds later; undefined when it does not. */
  endAfter(clientId: string, seconds: number | undefined): void {
    const lease = this.#leases.get(clientId)
    if (lease !== undefined) lease.expiry = seconds
  }

  /** Ends sessions whose time is up, whichever node their clients left. Error: `redis_unavailable`. */
  async endDue(): Promise<void> {
    for (let ended = 0; ended < ENDS_PER_BEAT; ended += ENDS_AT_ONCE) {
      const due = await this.#mesh.link.eval(END_DUE, ENDS_AT_ONCE)
      if (Number(due) < ENDS_AT_ONCE) return
    }
  }

  /** To be called once, in the turn in which the connection has ended. */
  release(lease: Lease): void {
    const { clientId, principal, epoch, expiry } = lease
    if (this.#leases.get(clientId) === lease) this.#leases.delete(clientId)
    if (epoch !== undefined) void this.#giveBack([principal, clientId, epoch, this.#mesh.id, expiry ?? ''])
  }

  /** Gives back what could not be while Redis was silent. Never rejects. */
  async releaseOwed(): Promise<void> {
    const owed = this.#owed.splice(0)
    for (let from = 0; from < owed.length; from += CHUNK) {
      await Promise.all(owed.slice(from, from + CHUNK).map((release) => this.#giveBack(release)))
    }
  }

  /** Never rejects. */
  async #giveBack(release: Release): Promise<void> {
    try {
      await this.#mesh.link.eval(RELEASE, ...release)
    } catch (error) {
      this.#logger.debug({ detail: toSluiceError(error).message, clientId: release[1] }, 'a session was not released')
      // Beyond the bound it is found when the connection to Redis is made anew, or when this node is gone.
      if (this.#owed.length < MAX_OWED) this.#owed.push(release)
    }
  }

  /** Whether the session is still this node's. Error: `redis_unavailable`. */
  async holds({ principal, clientId, epoch }: Lease): Promise<boolean> {
    if (epoch === undefined) return true
    return (await this.#mesh.link.eval(HOLDS, principal, clientId, epoch)) === 1
  }

  /** Whether the session was not taken since, so that its will is true. Error: `redis_unavailable`. */
  async isWillDue({ principal, clientId, epoch }: Lease): Promise<boolean> {
    if (epoch === undefined) return true
    return (await this.#mesh.link.eval(WILL_DUE, principal, clientId, epoch)) === 1
  }

  /**
   * After Redis was down, or this node suspended: closes connections whose session is another node's by now, and takes
   * epochs for those that began without. Error: `redis_unavailable`.
   */
  async confirmAll(): Promise<void> {
    const all = [...this.#leases.values()]
    for (let from = 0; from < all.length; from += CHUNK) {
      await Promise.all(all.slice(from, from + CHUNK).map((lease) => this.#confirm(lease)))
    }
    await this.#dropStale()
  }

  async #confirm(lease: Lease): Promise<void> {
    const { principal, clientId, epoch } = lease
    const { link, id } = this.#mesh
    if (epoch !== undefined) {
      const mine = (await link.eval(CONFIRM, principal, clientId, epoch, kindOf(lease), id)) === 1
      return mine ? undefined : this.#giveUp(lease)
    }
    const { epoch: taken } = claimed(await this.#claimOnce(principal, clientId, lease, false))
    // The client is connected elsewhere, and that connection has an epoch.
    if (taken <= 0) return this.#giveUp(lease)
    if (this.#leases.get(clientId) === lease) lease.epoch = String(taken)
    else await link.eval(RELEASE, principal, clientId, String(taken), id)
  }

  #giveUp(lease: Lease): void {
    const { clientId } = lease
    if (this.#leases.get(clientId) !== lease) return
    this.#logger.info({ clientId }, 'another node took over the session; closing its connection here')
    void this.#holders.evict(clientId)
  }

  /** Sessions that Redis has for this node and that are none of its connections. */
  async #dropStale(): Promise<void> {
    const { link, id } = this.#mesh
    const known = await link.run((redis) => redis.smembers(`sluice:clients:${id}`))
    for (const clientId of known) {
      if (this.#leases.has(clientId)) continue
      const { name } = principalOf(clientId)
      const text = await link.run((redis) => redis.hget(`sluice:sessions:${name}`, clientId))
      const [epoch = '', , holder = ''] = (text ?? '').split(' ')
      // It may have connected while we asked.
      if (this.#leases.has(clientId)) continue
      await link.eval(RELEASE, name, clientId, holder === id ? epoch : '0', id)
    }
  }

  async #takeEpoch(
    principal: string,
    clientId: string,
    wish: SessionWish,
  ): Promise<Pick<Lease, 'epoch' | 'isPresent' | 'hasMadeRoom' | 'left'>> {
    try {
      let answer = claimed(await this.#claimOnce(principal, clientId, wish, false))
      if (answer.epoch === 0) {
        await this.#askToLeave(answer.node, clientId)
        answer = claimed(await this.#claimOnce(principal, clientId, wish, true))
        // Another node was faster: it holds an older epoch now, and is told.
        const other = answer.node
        if (other !== '' && other !== this.#mesh.id) void this.#askToLeave(other, clientId)
      }
      if (answer.epoch < 0) {
        throw new SluiceError('session_limit', `${principal} has ${this.#maxSessions} persistent sessions`)
      }
      const { isPresent, hasMadeRoom, left } = answer
      return { epoch: String(answer.epoch), isPresent, hasMadeRoom, left }
    } catch (error) {
      if (wish.clean && toSluiceError(error).code === 'redis_unavailable') return NOTHING_CLAIMED
      throw error
    }
  }

  #claimOnce(principal: string, clientId: string, wish: SessionWish, force: boolean): Promise<unknown> {
    const { link, id } = this.#mesh
    const how = [kindOf(wish), id, force ? '1' : '0', this.#maxSessions, wish.isNew === true ? '1' : '0']
    return link.eval(CLAIM, principal, clientId, ...how)
  }

  /** Never rejects: a node that does not let go is fenced off. */
  async #askToLeave(node: string, clientId: string): Promise<void> {
    try {
      await this.#mesh.ask(node, 'take-over', Buffer.from(clientId), HAND_OVER_MS)
    } catch (error) {
      this.#logger.info(
        { node, clientId, detail: toSluiceError(error).message },
        'taking over a session whose node does not answer',
      )
    }
  }
}

function kindOf({ clean, expiry }: SessionWish): string {
  return clean ? 'c' : `p${expiry ?? ''}`
}
