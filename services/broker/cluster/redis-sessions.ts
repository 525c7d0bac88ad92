import { SluiceError, toSluiceError } from '../../../shared/errors.ts'
import type { Mesh } from '../../../shared/mesh/mesh.ts'
import type { ScriptArgument } from '../../../shared/mesh/redis-link.ts'
import { willDelayOf } from '../../../shared/mqtt/message-properties.ts'
import type { Logger } from '../../../shared/process/logger.ts'
import { MAX_SHARED, MAX_WIDE_SESSIONS } from '../../../shared/sessions/bounds.ts'
import { encodeMessage, type Message } from '../../../shared/sessions/message.ts'
import type {
  Delivery,
  Lease,
  Queued,
  Sent,
  SessionStore,
  SessionWish,
  SharedListener,
  SharedMessage,
  StoredSubscription,
  UnreleasedChange,
} from '../../../shared/sessions/port.ts'
import type { Fence } from './fence.ts'
import type { Outbound } from './outbound.ts'
import type { Retained } from './retained.ts'
import { ACKNOWLEDGE, FORGET, JOIN, LEAVE, NOTE, PASS_ON, RECORD, SUBSCRIBE } from './scripts.ts'
import { readQueue } from './stored-queue.ts'
import { optionsOf, subscriptionOf } from './stored-subscriptions.ts'
import type { SharedWillDelay } from './will-delay.ts'
import { WILL, WILL_DONE } from './will-delay-scripts.ts'

/** Logins that ended while Redis was down. */
const MAX_OWED = 10_000

export interface RedisParts {
  readonly mesh: Mesh
  readonly fence: Fence
  readonly outbound: Outbound
  readonly retained: Retained
  readonly wills: SharedWillDelay
  readonly logger: Logger
}

/** Sessions that nodes share, each write fenced by the epoch of the session. */
export class RedisSessions implements SessionStore {
  readonly #parts: RedisParts
  readonly #forgotten = new Set<string>()
  #listener: SharedListener = (_shared, done) => done()

  constructor(parts: RedisParts) {
    this.#parts = parts
  }

  claim(clientId: string, wish: SessionWish): Promise<Lease> {
    return this.#parts.fence.claim(clientId, wish)
  }

  release(lease: Lease): void {
    this.#parts.fence.release(lease)
  }

  leaseOf(clientId: string): Lease | undefined {
    return this.#parts.fence.leaseOf(clientId)
  }

  endAfter(clientId: string, seconds: number | undefined): void {
    this.#parts.fence.endAfter(clientId, seconds)
  }

  async subscribe(lease: Lease, subscriptions: readonly StoredSubscription[]): Promise<void> {
    await this.#subscribe(
      lease,
      subscriptions.map((one) => [one.topic, optionsOf(one)]),
    )
  }

  async unsubscribe(lease: Lease, filters: readonly string[]): Promise<void> {
    await this.#subscribe(
      lease,
      filters.map((filter) => [filter, '-1']),
    )
  }

  async subscriptions(clientId: string): Promise<readonly StoredSubscription[]> {
    const all = await this.#parts.mesh.link.run((redis) => redis.hgetall(`sluice:subs:${clientId}`))
    return Object.entries(all).map(([topic, options]) => subscriptionOf(topic, options))
  }

  async join(lease: Lease, share: string, qos: number): Promise<void> {
    const { clientId, principal, epoch = '' } = lease
    const most = [MAX_SHARED.groups, MAX_SHARED.groupsOfLogin, MAX_SHARED.members]
    const answer = await this.#parts.mesh.link.eval(JOIN, principal, clientId, epoch, share, qos, ...most)
    if (answer === 0) throw takenOver(clientId)
    if (answer !== 1) throw new SluiceError('session_limit', `there are too many groups, or members of ${share}`)
    lease.shares.set(share, qos)
  }

  async leave({ clientId, principal, shares, epoch = '' }: Lease, share: string): Promise<void> {
    shares.delete(share)
    await this.#parts.mesh.link.eval(LEAVE, principal, clientId, epoch, share)
  }

  send(message: Message): Promise<Sent> {
    return this.#parts.outbound.send(message)
  }

  onShared(listener: SharedListener): void {
    this.#listener = listener
  }

  /** What came for a member here. */
  takeShared(shared: SharedMessage, done: () => void): void {
    this.#listener(shared, done)
  }

  /** While Redis is down the member keeps it. */
  async passOn({ principal, clientId, epoch = '' }: Lease, number: string): Promise<void> {
    await this.#ifThere(() => this.#parts.mesh.link.eval(PASS_ON, principal, clientId, epoch, number))
  }

  queue(clientId: string): AsyncIterable<Queued> {
    return readQueue(this.#parts.mesh.link, clientId, new Set())
  }

  async noteDelivery(lease: Lease, { number, messageId, isReleased }: Delivery): Promise<void> {
    await this.#note(lease, 'ids', number, isReleased ? `${messageId} r` : String(messageId))
  }

  async acknowledge({ principal, clientId, epoch = '' }: Lease, number: string): Promise<void> {
    await this.#ifThere(() => this.#parts.mesh.link.eval(ACKNOWLEDGE, principal, clientId, epoch, number))
  }

  async noteIncoming(lease: Lease, messageId: number): Promise<void> {
    await this.#note(lease, 'in', String(messageId), '1')
  }

  async hasIncoming({ clientId }: Lease, messageId: number): Promise<boolean> {
    const { link } = this.#parts.mesh
    return (await link.run((redis) => redis.hexists(`sluice:in:${clientId}`, String(messageId)))) > 0
  }

  async dropIncoming({ clientId }: Lease, messageId: number): Promise<void> {
    const { link } = this.#parts.mesh
    await this.#ifThere(() => link.run((redis) => redis.hdel(`sluice:in:${clientId}`, String(messageId))))
  }

  get isUp(): boolean {
    return this.#parts.mesh.link.isUp
  }

  async writeUnreleased(changes: readonly UnreleasedChange[]): Promise<ReadonlySet<Lease>> {
    const byLease = Map.groupBy(changes, ({ lease }) => lease)
    const args: ScriptArgument[] = []
    for (const [{ clientId, principal, epoch = '' }, own] of byLease) {
      args.push(clientId, principal, epoch, own.length)
      for (const { id, digest } of own) args.push(id, digest ?? '')
    }
    const lost = await this.#parts.mesh.link.eval(RECORD, ...args)
    const numbers = new Set(Array.isArray(lost) ? lost.map(Number) : [])
    return new Set([...byLease.keys()].filter((_lease, number) => numbers.has(number)))
  }

  keep(message: Message): Promise<boolean> {
    return this.#parts.retained.keep(message)
  }

  retained(filters: readonly string[]): AsyncIterable<Message> {
    return this.#parts.retained.find(filters)
  }

  async putWill({ principal, clientId, epoch }: Lease, will: Message): Promise<void> {
    if (epoch === undefined) return
    const [bytes, delay] = [encodeMessage(will), willDelayOf(will)]
    await this.#ifThere(() => this.#parts.mesh.link.eval(WILL, principal, clientId, epoch, bytes, delay))
  }

  async dropWill({ clientId, epoch }: Lease): Promise<void> {
    if (epoch !== undefined) await this.#ifThere(() => this.#parts.mesh.link.eval(WILL_DONE, clientId, epoch))
  }

  /** Not when the session is another's, or may be: while Redis is down the will is owed. */
  async takeWill(lease: Lease, will: Message): Promise<boolean> {
    const { fence, wills } = this.#parts
    try {
      return await fence.isWillDue(lease)
    } catch (error) {
      if (toSluiceError(error).code === 'redis_unavailable') wills.owe(lease, will)
      return false
    }
  }

  postponeWill(lease: Lease, will: Message): Promise<void> {
    return this.#parts.wills.postpone(lease, will)
  }

  /** While Redis is down it is owed. Never rejects for that. */
  async forget(principal: string): Promise<void> {
    const { mesh, logger } = this.#parts
    try {
      await mesh.link.eval(FORGET, principal)
      this.#forgotten.delete(principal)
    } catch (error) {
      const { code, message } = toSluiceError(error)
      if (code !== 'redis_unavailable') throw error
      if (this.#forgotten.size < MAX_OWED) this.#forgotten.add(principal)
      else logger.error({ principal, detail: message }, 'cannot remove what is stored for a revoked login')
    }
  }

  async forgetOwed(): Promise<void> {
    for (const principal of this.#forgotten) await this.forget(principal)
  }

  async #subscribe(lease: Lease, changes: readonly (readonly [string, string])[]): Promise<void> {
    const { clientId, principal, epoch, isApplication } = lease
    if (changes.length === 0) return
    if (epoch === undefined) throw takenOver(clientId)
    const fixed = [principal, clientId, epoch, isApplication ? '1' : '0', MAX_WIDE_SESSIONS]
    const answer = await this.#parts.mesh.link.eval(SUBSCRIBE, ...fixed, ...changes.flat())
    if (answer === 1) return
    if (answer === 0) throw takenOver(clientId)
    const message = `${MAX_WIDE_SESSIONS} persistent sessions of applications already have subscriptions`
    throw new SluiceError('session_limit', message)
  }

  async #note({ principal, clientId, epoch = '' }: Lease, hash: 'ids' | 'in', field: string, value: string) {
    const { link } = this.#parts.mesh
    const answer = await this.#ifThere(() => link.eval(NOTE, principal, clientId, epoch, hash, field, value))
    if (answer === 0) throw takenOver(clientId)
  }

  /** While Redis is down a connection stays: what it could not note leads to a repetition later. */
  async #ifThere<T>(work: () => Promise<T>): Promise<T | undefined> {
    try {
      return await work()
    } catch (error) {
      const { code, message } = toSluiceError(error)
      if (code !== 'redis_unavailable') throw error
      this.#parts.logger.debug({ detail: message }, 'a session could not be recorded')
      return undefined
    }
  }
}

function takenOver(clientId: string): SluiceError {
  return new SluiceError('session_taken_over', `${clientId} is no longer held by this node`)
}
