import { SluiceError, toSluiceError } from '../../errors.ts'
import type { Logger } from '../../process/logger.ts'
import { willDelayOf } from '../../mqtt/message-properties.ts'
import { parseDeviceKey, topicOfDevice } from '../../topics.ts'
import { placeOf } from '../bounds.ts'
import { prefixOf, principalOf } from '../client-id.ts'
import { decodeMessage, encodeMessage, type Message } from '../message.ts'
import {
  nothingHeld,
  type Delivery,
  type Lease,
  type LocalSessionStore,
  type PublishWill,
  type Queued,
  type Sent,
  type SessionWish,
  type SharedListener,
  type StoredSubscription,
  type UnreleasedChange,
} from '../port.ts'
import { bufferOf, leftIn, publishedNow } from './answers.ts'
import type { Calls, DueWill, HandedRow, Question } from './messages.ts'

/** Asks whoever owns the file. */
export type Ask = <Q extends Question>(question: Q, ask: Calls[Q]['ask']) => Promise<Calls[Q]['answer']>

/** Sessions of the only node, in one file. */
export class SqliteSessions implements LocalSessionStore {
  readonly #ask: Ask
  readonly #logger: Logger
  readonly #onDamage: (count: number) => void
  readonly #leases = new Map<string, Lease>()
  #publish: PublishWill | undefined
  #listener: SharedListener = (_shared, done) => done()

  /** `onDamage` is told of stored messages that are not what was stored. */
  constructor(ask: Ask, logger: Logger, onDamage: (count: number) => void) {
    this.#ask = ask
    this.#logger = logger
    this.#onDamage = onDamage
  }

  begin(publish: PublishWill): void {
    this.#publish = publish
    this.#unawaited('begin', undefined)
  }

  /** Wills that are due. */
  publishDue(due: readonly DueWill[]): void {
    for (const will of due) void this.#publishOne(will)
  }

  async claim(clientId: string, { clean, isNew = false, expiry }: SessionWish): Promise<Lease> {
    const { isPresent, hasMadeRoom, inLog } = await this.#ask('claim', { clientId, clean, isNew, expiry })
    const { name: principal, isApplication } = principalOf(clientId)
    const own = { ...nothingHeld(), left: leftIn(inLog) }
    const lease = {
      clientId,
      principal,
      isApplication,
      clean,
      expiry,
      epoch: undefined,
      isPresent,
      hasMadeRoom,
      ...own,
    }
    this.#leases.set(clientId, lease)
    return lease
  }

  release(lease: Lease): void {
    const { clientId, clean, expiry } = lease
    if (this.#leases.get(clientId) === lease) this.#leases.delete(clientId)
    this.#unawaited('release', { clientId, clean, expiry })
  }

  leaseOf(clientId: string): Lease | undefined {
    return this.#leases.get(clientId)
  }

  endAfter(clientId: string, seconds: number | undefined): void {
    const lease = this.#leases.get(clientId)
    if (lease !== undefined) lease.expiry = seconds
  }

  async subscribe({ clientId }: Lease, subscriptions: readonly StoredSubscription[]): Promise<void> {
    await this.#ask('subscribe', { clientId, subscriptions })
  }

  async unsubscribe({ clientId }: Lease, filters: readonly string[]): Promise<void> {
    await this.#ask('unsubscribe', { clientId, filters })
  }

  subscriptions(clientId: string): Promise<readonly StoredSubscription[]> {
    return this.#ask('subscriptions', clientId)
  }

  async join(lease: Lease, share: string, qos: number): Promise<void> {
    await this.#ask('join', { clientId: lease.clientId, share, qos, clean: lease.clean })
    lease.shares.set(share, qos)
  }

  async leave({ clientId, shares }: Lease, share: string): Promise<void> {
    shares.delete(share)
    await this.#ask('leave', { clientId, share })
  }

  async send(message: Message): Promise<Sent> {
    const { topic, qos } = message
    if (qos === 0) return { number: 0, stored: 0, full: 0 }
    return await this.#ask('send', { topic, qos, bytes: encodeMessage(message) })
  }

  onShared(listener: SharedListener): void {
    this.#listener = listener
  }

  /** Messages for members of groups that are connected. */
  handOut(handed: readonly HandedRow[]): void {
    for (const { clientId, share, number, qos, bytes } of handed) {
      const message = { ...decodeMessage(bufferOf(bytes)), qos: qos as Message['qos'] }
      this.#listener({ clientId, share, number, message }, () => undefined)
    }
  }

  async passOn({ clientId }: Lease, number: string): Promise<void> {
    this.#unawaited('passOn', { clientId, number: Number(number) })
    await Promise.resolve()
  }

  async *queue(clientId: string): AsyncGenerator<Queued> {
    for (let after = 0; ;) {
      const { rows, damaged } = await this.#ask('queue', { clientId, after })
      this.#damaged(damaged, 'messages that waited for a session', clientId)
      if (rows.length === 0) return
      for (const { number, messageId, isReleased, bytes } of rows) {
        after = number
        yield { number: String(number), messageId, isReleased, message: decodeMessage(bufferOf(bytes)) }
      }
    }
  }

  async noteDelivery({ clientId }: Lease, { number, messageId, qos, isReleased }: Delivery): Promise<void> {
    const note = { clientId, number: Number(number), messageId, isReleased, isAwaited: qos === 2 || isReleased }
    if (note.isAwaited) await this.#ask('deliver', note)
    else this.#unawaited('deliver', note)
  }

  async acknowledge({ clientId }: Lease, number: string): Promise<void> {
    this.#unawaited('acknowledge', { clientId, number: Number(number) })
    await Promise.resolve()
  }

  async noteIncoming({ clientId }: Lease, messageId: number): Promise<void> {
    await this.#ask('noteIncoming', { clientId, messageId })
  }

  hasIncoming({ clientId }: Lease, messageId: number): Promise<boolean> {
    return this.#ask('hasIncoming', { clientId, messageId })
  }

  async dropIncoming({ clientId }: Lease, messageId: number): Promise<void> {
    this.#unawaited('dropIncoming', { clientId, messageId })
    await Promise.resolve()
  }

  /** What is not written is the disk's failure, and told of each change. */
  get isUp(): boolean {
    return true
  }

  async writeUnreleased(changes: readonly UnreleasedChange[]): Promise<ReadonlySet<Lease>> {
    const isLost = ({ lease }: UnreleasedChange): boolean => this.#leases.get(lease.clientId) !== lease
    const lost = new Set(changes.filter(isLost).map(({ lease }) => lease))
    const own = changes.filter(({ lease }) => !lost.has(lease))
    const written = own.map(({ lease, id, digest }) => ({ clientId: lease.clientId, id, digest }))
    if (written.length > 0) await this.#ask('writeInLog', written)
    return lost
  }

  keep(message: Message): Promise<boolean> {
    const { topic, payload, qos } = message
    const bytes = payload.length === 0 ? undefined : encodeMessage(message)
    // Nobody is told that a message of QoS 0 is kept: for an SD card it is written with others.
    return this.#ask('keep', { topic, bytes, isAwaited: qos > 0 })
  }

  async *retained(filters: readonly string[]): AsyncGenerator<Message> {
    for (let from: string | undefined = ''; from !== undefined;) {
      const { messages, next, damaged }: Calls['retained']['answer'] = await this.#ask('retained', { filters, from })
      this.#damaged(damaged, 'retained messages', filters.join(' '))
      for (const bytes of messages) yield decodeMessage(bufferOf(bytes))
      from = next
    }
  }

  async putWill({ clientId }: Lease, will: Message): Promise<void> {
    this.#unawaited('putWill', { clientId, delay: willDelayOf(will), bytes: encodeMessage(will) })
    await Promise.resolve()
  }

  async dropWill(): Promise<void> {
    // It goes as the session is released: by then the client may have a new connection, and this be the will of that.
    await Promise.resolve()
  }

  /** Takeovers are in order on the only node, so it is. */
  async takeWill({ clientId }: Lease): Promise<boolean> {
    this.#unawaited('dropWill', clientId)
    return Promise.resolve(true)
  }

  async postponeWill({ clientId }: Lease, will: Message): Promise<void> {
    this.#unawaited('postponeWill', { clientId, ms: willDelayOf(will) * 1000, bytes: encodeMessage(will) })
    await Promise.resolve()
  }

  async forget(principal: string): Promise<void> {
    const device = parseDeviceKey(principal)
    const place = device && placeOf(`${topicOfDevice(device.tenant, device.device)}/`)
    await this.#ask('forget', { prefix: prefixOf(principal), place })
  }

  async #publishOne({ clientId, takenUntil, bytes }: DueWill): Promise<void> {
    try {
      const will = publishedNow(decodeMessage(bufferOf(bytes)))
      const isDone = await this.#publish?.(will, principalOf(clientId).name)
      if (isDone === true) this.#unawaited('willDone', { clientId, takenUntil })
    } catch (error) {
      const { code, message } = toSluiceError(error)
      this.#logger.warn({ clientId, code, detail: message }, 'a will could not be published yet; retrying')
    }
  }

  /** What is not promised to anybody. When it fails so does what is, and that says so. */
  #unawaited<Q extends Question>(question: Q, ask: Calls[Q]['ask']): void {
    this.#ask(question, ask).catch((error: unknown) => {
      const { code, message } = error instanceof SluiceError ? error : toSluiceError(error)
      this.#logger.debug({ code, detail: message, question }, 'a session could not be recorded')
    })
  }

  #damaged(count: number, what: string, of: string): void {
    if (count === 0) return
    this.#onDamage(count)
    this.#logger.error({ count, of }, `${what} are not what was stored; they are passed over`)
  }
}
