import { setTimeout } from 'node:timers/promises'
import { SluiceError, toSluiceError } from '../../../shared/errors.ts'
import type { Logger } from '../../../shared/process/logger.ts'
import { nodeChannel, type Mesh } from '../../../shared/mesh/mesh.ts'
import { LEASE_PREFIX, NODES_KEY, type NodeRecord } from '../../../shared/mesh/node-list.ts'
import { principalOf } from '../../../shared/sessions/client-id.ts'
import type { BrokerFeature } from '../../../shared/features.ts'
import type { Peers } from './peers.ts'
import { REAP } from './scripts.ts'

export interface MembershipOptions {
  readonly mesh: Mesh
  readonly peers: Peers
  readonly logger: Logger
  /** What the node says of itself. */
  readonly describe: () => Omit<NodeRecord, 'id'>
  /** The clients of a dead node are cleaned up. */
  readonly onBuried: (node: string) => void
  /** Redis answers (again), or others took this node for dead: what it holds is to be compared with what Redis says. */
  readonly recover: () => Promise<void>
  /** Called with every beat while Redis answers. */
  readonly onBeat: () => Promise<void>
}

const BEAT_MS = 1_500
/** A node that is silent for so long is no longer listed. */
const LEASE_MS = 6_000
/** After that it is dead when it was missed for so long without a break, so that an outage of Redis kills no node. */
const GRACE_MS = 3_000
/** The node that cleans up after a dead one has so long for each part of its clients; then another one continues. */
const REAP_LOCK_MS = 10_000
const CHUNK = 100
/** How long a node that leaves waits for Redis to come back. */
const LEAVE_MS = 2_000

/** This node among the others: it sends heartbeats, detects dead peers, and takes over their sessions and wills. */
export class Membership {
  readonly #options: MembershipOptions
  readonly #missingSince = new Map<string, number>()
  #timer: NodeJS.Timeout | undefined
  #work: Promise<void> = Promise.resolve()
  #isBusy = false
  #closed = false
  /** What each of the other live nodes reads; undefined until they were looked at. */
  #features: readonly (readonly string[])[] | undefined

  constructor(options: MembershipOptions) {
    this.#options = options
  }

  /** Error: `setting_invalid` when another process has the name. */
  async open(): Promise<void> {
    const { mesh } = this.#options
    if (mesh.link.isUp) await this.#checkName()
    await mesh.open()
    mesh.link.onUp(() => void this.#begin(() => this.#join()))
    if (mesh.link.isUp) await this.#begin(() => this.#join())
    this.#timer = setInterval(() => {
      if (!this.#isBusy && mesh.link.isUp) void this.#begin(() => this.#beat())
    }, BEAT_MS)
  }

  /** Whether all nodes that lived at the last beat read the format: nobody writes it before. */
  doAllRead(feature: BrokerFeature): boolean {
    return this.#features?.every((features) => features.includes(feature)) ?? false
  }

  /** The node leaves; its sessions must have been released. */
  async close(): Promise<void> {
    clearInterval(this.#timer)
    this.#closed = true
    await this.#work
    const { mesh, logger } = this.#options
    try {
      // Releasing thousands of sessions at once may have taken Redis longer than a command may.
      for (const end = performance.now() + LEAVE_MS; !mesh.link.isUp && performance.now() < end;) await setTimeout(50)
      // Commands are answered in order: by then all releases are done.
      const left = await mesh.link.run((redis) => redis.scard(`sluice:clients:${mesh.id}`))
      if (left === 0) await mesh.link.run((redis) => redis.srem(NODES_KEY, mesh.id))
      else logger.warn({ clients: left }, 'sessions are left for other nodes to clean up')
      await mesh.link.run((redis) => redis.del(`${LEASE_PREFIX}${mesh.id}`))
    } catch (error) {
      logger.warn(
        { detail: toSluiceError(error).message },
        'the node leaves without telling the others; they will declare it dead',
      )
    }
  }

  /** One after the other; never rejects. */
  #begin(step: () => Promise<void>): Promise<void> {
    this.#isBusy = true
    const work = this.#work.then(async () => {
      if (this.#closed) return
      try {
        await step()
      } catch (error) {
        const { code, message } = toSluiceError(error)
        const level = code === 'redis_unavailable' ? 'debug' : 'error'
        this.#options.logger[level]({ detail: message }, 'the list of nodes could not be read')
      }
    })
    this.#work = work
    return work.finally(() => {
      if (this.#work === work) this.#isBusy = false
    })
  }

  async #checkName(): Promise<void> {
    const { mesh } = this.#options
    const channel = nodeChannel(mesh.id)
    const answer = await mesh.link.run((redis) => redis.pubsub('NUMSUB', channel))
    if (Number(answer[1] ?? 0) > 0) {
      throw new SluiceError('setting_invalid', `NODE_ID: another process runs as node ${JSON.stringify(mesh.id)}`)
    }
    // An earlier life of this node, which did not end well.
    await this.#bury(mesh.id)
  }

  async #join(): Promise<void> {
    const { mesh, peers, recover } = this.#options
    this.#missingSince.clear()
    await this.#sayAlive()
    const names = await mesh.link.run((redis) => redis.smembers(NODES_KEY))
    const others = names.filter((name) => name !== mesh.id)
    await this.#leasesOf(others)
    await Promise.all(others.map((name) => peers.greet(name)))
    await recover()
  }

  async #sayAlive(): Promise<void> {
    const { mesh, describe } = this.#options
    const record = JSON.stringify({ id: mesh.id, ...describe() })
    await mesh.link.run(async (redis) => {
      await Promise.all([
        redis.set(`${LEASE_PREFIX}${mesh.id}`, record, 'PX', LEASE_MS),
        redis.sadd(NODES_KEY, mesh.id),
      ])
    })
  }

  async #beat(): Promise<void> {
    const { mesh, peers, recover, onBeat } = this.#options
    const before = await mesh.link.run((redis) => redis.smembers(NODES_KEY))
    await this.#sayAlive()
    // Others thought that we were dead.
    if (!before.includes(mesh.id)) await recover()
    const others = before.filter((name) => name !== mesh.id)
    const alive = await this.#leasesOf(others)
    const known = new Set(peers.names)
    for (const name of known) if (!others.includes(name)) peers.forget(name)
    for (const [index, name] of others.entries()) {
      if (alive[index] === null) await this.#missed(name)
      else {
        this.#missingSince.delete(name)
        if (!known.has(name)) await peers.greet(name)
      }
    }
    await peers.catchUp()
    await onBeat()
  }

  /** In the order of the names; null of those that are silent. */
  async #leasesOf(names: readonly string[]): Promise<readonly (string | null)[]> {
    const keys = names.map((name) => `${LEASE_PREFIX}${name}`)
    const leases = keys.length === 0 ? [] : await this.#options.mesh.link.run((redis) => redis.mget(keys))
    this.#features = leases.flatMap((text) => (text === null ? [] : [(JSON.parse(text) as NodeRecord).features ?? []]))
    return leases
  }

  async #missed(name: string): Promise<void> {
    const since = this.#missingSince.get(name)
    if (since === undefined) return void this.#missingSince.set(name, performance.now())
    if (performance.now() - since < GRACE_MS) return
    const { mesh, logger, peers } = this.#options
    const lock = `sluice:burial:${name}`
    const mine = await mesh.link.run((redis) => redis.set(lock, mesh.id, 'PX', REAP_LOCK_MS, 'NX'))
    if (mine === null) return
    logger.warn({ node: name }, 'a node is dead; cleaning up its sessions')
    await this.#bury(name)
    await mesh.link.run((redis) => redis.del(lock))
    peers.forget(name)
    this.#missingSince.delete(name)
  }

  async #bury(name: string): Promise<void> {
    const { link } = this.#options.mesh
    const clients = await link.run((redis) => redis.smembers(`sluice:clients:${name}`))
    for (let from = 0; from < clients.length; from += CHUNK) {
      await Promise.all(clients.slice(from, from + CHUNK).map((id) => link.eval(REAP, principalOf(id).name, id, name)))
      await link.run((redis) => redis.pexpire(`sluice:burial:${name}`, REAP_LOCK_MS))
    }
    this.#options.onBuried(name)
    await link.run((redis) => redis.srem(NODES_KEY, name))
  }
}
