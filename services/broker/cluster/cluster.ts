import { randomBytes } from 'node:crypto'
import { hostname } from 'node:os'
import { Counter } from 'prom-client'
import { toSluiceError } from '../../../shared/errors.ts'
import { BROKER_FEATURES, type BrokerFeature } from '../../../shared/features.ts'
import type { Logger } from '../../../shared/process/logger.ts'
import { Frame, Mesh, splitLine } from '../../../shared/mesh/mesh.ts'
import type { NodeRecord } from '../../../shared/mesh/node-list.ts'
import type { RedisLink } from '../../../shared/mesh/redis-link.ts'
import type { Metrics } from '../../../shared/process/metrics.ts'
import type { Tally } from '../metrics.ts'
import { exposeCluster } from './cluster-metrics.ts'
import { decodeCopies, encodeCopies, type Copy } from './copies.ts'
import { decodeShared, encodeShared } from './shared-frame.ts'
import { Fence } from './fence.ts'
import type { LocalSubscribers } from './local-subscribers.ts'
import { Membership } from './membership.ts'
import { decodeMessage, type Message } from '../../../shared/sessions/message.ts'
import type { SharedMessage } from '../../../shared/sessions/port.ts'
import type { SharedGroups } from '../telemetry/shared-groups.ts'
import { Outbound } from './outbound.ts'
import { Peers } from './peers.ts'
import { RedisSessions } from './redis-sessions.ts'
import { rejoin } from './rejoin.ts'
import { Retained } from './retained.ts'
import { StoredSubscriptions } from './stored-subscriptions.ts'
import { SharedWillDelay } from './will-delay.ts'

export interface ClusterOptions {
  /** Open; closed by the process that opened it, after the broker. */
  readonly link: RedisLink
  /** Made up when undefined. */
  readonly nodeId: string | undefined
}

/** What it shares with the rest of the broker. */
export interface ClusterContext {
  readonly tally: Tally
  readonly logger: Logger
  readonly metrics: Metrics
  readonly self: { readonly mqtt: NodeRecord['address'] }
  /** Persistent sessions of one login. */
  readonly maxSessions: number
  readonly groups: SharedGroups
}

export interface ClusterObserver {
  /** The sessions that a dead node had have ended. */
  onBuried(node: string): void
  /** The sessions of this node are its own, whatever others said of it meanwhile. */
  onConfirmed(): void
}

/** Messages from other nodes being delivered to subscribers here, and their payload. */
const MAX_INBOUND = 20_000
const MAX_INBOUND_BYTES = 16 * 1024 * 1024

/** One node among others: everything of a broker that goes through Redis. */
export class Cluster {
  readonly mesh: Mesh
  readonly peers: Peers
  readonly fence: Fence
  readonly retained: Retained
  readonly outbound: Outbound
  readonly wills: SharedWillDelay
  readonly store: RedisSessions
  /** Who writes down which clients are connected where. */
  observer: ClusterObserver | undefined
  readonly #context: ClusterContext
  readonly #sinceMs = Date.now()
  readonly #stored: StoredSubscriptions
  readonly #dropped: Counter<'reason'>
  #local: LocalSubscribers | undefined
  #membership: Membership | undefined
  #inbound = 0
  #inboundBytes = 0
  /** Something that sessions here hold may not have been handed out. */
  #missedSome = false

  constructor({ link, nodeId }: ClusterOptions, context: ClusterContext) {
    const { tally, logger, metrics } = context
    this.#context = context
    const id = nodeId ?? `${hostname()}-${process.pid}-${randomBytes(3).toString('hex')}`
    this.mesh = new Mesh(link, id, logger)
    this.peers = new Peers(this.mesh, logger, context.groups)
    this.fence = new Fence(this.mesh, logger, context.maxSessions)
    this.retained = new Retained(link, tally)
    this.#stored = new StoredSubscriptions(link)
    this.outbound = new Outbound(this.mesh, this.peers, this.#stored)
    this.wills = new SharedWillDelay(this.mesh, this.fence, logger)
    const { mesh, fence, outbound, retained, wills } = this
    this.store = new RedisSessions({ mesh, fence, outbound, retained, wills, logger })
    this.#dropped = new Counter({
      name: 'sluice_broker_cluster_dropped_total',
      help: 'Messages between nodes that were dropped, by reason: a node was full, or Redis was unreachable (QoS 0)',
      labelNames: ['reason'],
      registers: [metrics],
    })
    exposeCluster(metrics, {
      peers: () => this.peers.names.length,
      sessions: () => this.fence.size,
      clients: () => this.#local?.clients() ?? 0,
      wills: () => this.wills.size,
      inbound: () => this.#inbound,
    })
    this.mesh.onFrame(Frame.message, (frame) => this.#takeMessage(frame))
    this.mesh.onFrame(Frame.shared, (frame) => this.#takeShared(frame))
    this.mesh.onFrame(Frame.sharedTelemetry, (frame) => {
      for (const { topic, payload } of decodeCopies(frame)) {
        const end = topic.lastIndexOf('\n')
        this.#local?.copyTo(topic.slice(end + 1), payload, topic.slice(0, end))
      }
    })
    this.mesh.onFrame(Frame.telemetry, (frame) => {
      for (const { topic, payload } of decodeCopies(frame)) this.#local?.copy(topic, payload)
    })
  }

  get id(): string {
    return this.mesh.id
  }

  get isUp(): boolean {
    return this.mesh.link.isUp
  }

  /** See {@link Membership.doAllRead}. */
  doAllRead(feature: BrokerFeature): boolean {
    return this.#membership?.doAllRead(feature) ?? false
  }

  /** Joins the others. Error: `setting_invalid` (NODE_ID). */
  async open(local: LocalSubscribers): Promise<void> {
    this.#local = local
    let recovered = false
    this.#membership = new Membership({
      mesh: this.mesh,
      peers: this.peers,
      logger: this.#context.logger,
      describe: () => this.#describe(),
      onBuried: (node) => this.observer?.onBuried(node),
      recover: async () => {
        await this.#stored.load()
        await this.retained.settle()
        await this.wills.settle()
        await this.store.forgetOwed()
        await this.fence.confirmAll()
        await rejoin(this.store, [...this.fence.leases()], this.#context.logger)
        this.observer?.onConfirmed()
        // What was sent in the meantime is in the queues of the sessions.
        this.#missedSome ||= recovered
        recovered = true
      },
      onBeat: async () => {
        await this.wills.settle()
        await this.fence.releaseOwed()
        await this.fence.endDue()
        await this.wills.beginDue((will, principal) => local.publishWill(will, principal))
        if (!this.#missedSome || this.#isFull) return
        this.#missedSome = false
        await local.redeliver()
      },
    })
    await this.#membership.open()
    if (this.isUp) await this.#testDelivery()
  }

  /** Telemetry that subscribers on other nodes want. Never blocks: beyond what Redis takes at once it is dropped. */
  sendCopies(copies: readonly Copy[]): number {
    return this.peers.sendCopies(copies, (count) => this.#dropped.inc({ reason: 'redis_away' }, count))
  }

  /** Telemetry for members of groups on another node: `{client id}\n{topic}` in place of the topic. */
  sendSharedCopies(node: string, copies: readonly Copy[]): void {
    const failed = (): void => this.#dropped.inc({ reason: 'redis_away' }, copies.length)
    this.mesh.send(node, encodeCopies(Frame.sharedTelemetry, copies)).catch(failed)
  }

  /** A message of QoS 0 for a member of a group; false when its node listens no more. Never rejects. */
  async sendShared(node: string, shared: SharedMessage): Promise<boolean> {
    try {
      return await this.mesh.send(node, encodeShared(shared))
    } catch (error) {
      this.#dropped.inc({ reason: 'redis_away' })
      this.#context.logger.debug({ detail: toSluiceError(error).message }, 'QoS 0 was not sent to another node')
      return true
    }
  }

  /** No sender waits for a message of QoS 0. */
  sendQos0(message: Message): void {
    if (!this.isUp) return
    this.outbound.send(message).catch((error: unknown) => {
      this.#dropped.inc({ reason: 'redis_away' })
      this.#context.logger.debug({ detail: toSluiceError(error).message }, 'QoS 0 was not sent to other nodes')
    })
  }

  /** To be called when all connections are closed. */
  async close(): Promise<void> {
    await this.#membership?.close()
    this.mesh.close()
  }

  get #isFull(): boolean {
    return this.#inbound >= MAX_INBOUND || this.#inboundBytes >= MAX_INBOUND_BYTES
  }

  #describe(): Omit<NodeRecord, 'id'> {
    const { self, tally } = this.#context
    const load = { clients: this.fence.size, inFlight: tally.inFlight }
    return { address: self.mqtt, ...load, sinceMs: this.#sinceMs, features: BROKER_FEATURES }
  }

  #takeMessage(frame: Buffer): void {
    const [head, body] = splitLine(frame)
    this.#take(body.length, (done) => this.#local?.deliver(decodeMessage(body), Number(head.slice(1)), done))
  }

  #takeShared(frame: Buffer): void {
    this.#take(frame.length, (done) => this.store.takeShared(decodeShared(frame), done))
  }

  #take(length: number, deliver: (done: () => void) => void): void {
    if (this.#isFull) {
      this.#dropped.inc({ reason: 'node_full' })
      this.#missedSome = true
      return
    }
    this.#inbound += 1
    this.#inboundBytes += length
    deliver(() => {
      this.#inbound -= 1
      this.#inboundBytes -= length
    })
  }

  /** A broker that delivers nothing is worse than none: what this node sends to itself must come back. */
  async #testDelivery(): Promise<void> {
    this.mesh.onQuestion('echo', (body) => body)
    const text = randomBytes(8)
    const answer = await this.mesh.ask(this.id, 'echo', text, 2_000)
    if (!answer.equals(text)) throw new Error('a message that this node sent to itself came back changed')
  }
}
