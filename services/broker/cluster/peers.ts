import type { Logger } from '../../../shared/process/logger.ts'
import { toSluiceError } from '../../../shared/errors.ts'
import { Frame, type Mesh } from '../../../shared/mesh/mesh.ts'
import { matches } from '../../../shared/topic-filter.ts'
import { isEntry, type SharedGroups } from '../telemetry/shared-groups.ts'
import { SubscriptionInterest } from '../telemetry/subscription-interest.ts'
import { encodeCopies, type Copy } from './copies.ts'

interface Peer {
  /** Of its list; one that is not the next means that something was missed. */
  version: number
  /** And members of groups, as entries. */
  readonly filters: Set<string>
  readonly interest: SubscriptionInterest
  /** What it knows of ours may be old. */
  isBehind: boolean
}

/** What a node says of the subscriptions of applications on it. */
interface Announcement {
  readonly version: number
  /** The whole list, or what changed since the version before. */
  readonly all?: readonly string[]
  readonly add?: readonly string[]
  readonly remove?: readonly string[]
}

/** A subscriber waits for its SUBACK until the other nodes know of it, but not longer. */
const ANNOUNCE_MS = 500

/**
 * The other nodes, and what applications on them subscribe to, alone or as members of groups. Each node tells each other one of its list, and of every
 * change before the SUBACK; devices' own filters are not in it, whatever their number.
 */
export class Peers {
  readonly #mesh: Mesh
  readonly #logger: Logger
  readonly #groups: SharedGroups
  readonly #peers = new Map<string, Peer>()
  readonly #own = new Set<string>()
  #version = 0
  #added = new Set<string>()
  #removed = new Set<string>()
  #announcing: Promise<void> | undefined

  constructor(mesh: Mesh, logger: Logger, groups: SharedGroups) {
    this.#mesh = mesh
    this.#groups = groups
    this.#logger = logger
    mesh.onQuestion('subscriptions', (body, from) => this.#heard(from, body))
  }

  get names(): string[] {
    return [...this.#peers.keys()]
  }

  /** Nodes with a subscription of an application that matches. */
  nodesFor(topic: string): string[] {
    const nodes: string[] = []
    for (const [name, { filters }] of this.#peers) {
      for (const filter of filters) {
        if (!matches(filter, topic)) continue
        nodes.push(name)
        break
      }
    }
    return nodes
  }

  /** Some other node wants telemetry. */
  get wantsTelemetry(): boolean {
    for (const { interest } of this.#peers.values()) if (!interest.isNone) return true
    return false
  }

  /** Sends to each node the telemetry that it wants. Returns the copies that were sent; errors are the caller's. */
  sendCopies(copies: readonly Copy[], onFailure: (copies: number) => void): number {
    let sent = 0
    for (const [name, { interest }] of this.#peers) {
      if (interest.isNone) continue
      const wanted = copies.filter(({ topic }) => interest.matches(topic))
      if (wanted.length === 0) continue
      sent += wanted.length
      this.#mesh.send(name, encodeCopies(Frame.telemetry, wanted)).catch(() => onFailure(wanted.length))
    }
    return sent
  }

  /** A filter has its first, or its last, subscriber here. */
  changed(filter: string, isWanted: boolean): void {
    if (isWanted) {
      this.#own.add(filter)
      if (!this.#removed.delete(filter)) this.#added.add(filter)
    } else {
      this.#own.delete(filter)
      if (!this.#added.delete(filter)) this.#removed.add(filter)
    }
    void this.announced()
  }

  /** Resolves when the other nodes know of all changes so far, or cannot be told. Never rejects. */
  async announced(): Promise<void> {
    // The announcement that runs may have begun before the last change.
    while (this.#announcing !== undefined) await this.#announcing
    if (this.#added.size + this.#removed.size === 0) return
    this.#announcing = this.#announce().finally(() => (this.#announcing = undefined))
    return this.#announcing
  }

  /** Tells a node the whole list, and takes its. Never rejects. */
  async greet(name: string): Promise<void> {
    this.#peers.set(name, this.#peers.get(name) ?? newPeer())
    await this.#tell(name, { version: this.#version, all: [...this.#own] })
  }

  /** Those that missed something hear all of it again. */
  async catchUp(): Promise<void> {
    const behind = [...this.#peers].filter(([, peer]) => peer.isBehind)
    await Promise.all(behind.map(([name]) => this.greet(name)))
  }

  forget(name: string): void {
    this.#peers.delete(name)
    this.#groups.forget(name)
  }

  async #announce(): Promise<void> {
    const announcement = { version: (this.#version += 1), add: [...this.#added], remove: [...this.#removed] }
    this.#added = new Set()
    this.#removed = new Set()
    await Promise.all(this.names.map((name) => this.#tell(name, announcement)))
  }

  async #tell(name: string, announcement: Announcement): Promise<void> {
    const peer = this.#peers.get(name)
    if (peer === undefined) return
    try {
      const body = Buffer.from(JSON.stringify(announcement))
      const answer = await this.#mesh.ask(name, 'subscriptions', body, ANNOUNCE_MS)
      if (answer.toString() === 'again') return await this.#tell(name, { version: this.#version, all: [...this.#own] })
      peer.isBehind = false
      if (announcement.all !== undefined) this.#apply(name, peer, parse(answer))
    } catch (error) {
      peer.isBehind = true
      this.#logger.debug(
        { node: name, detail: toSluiceError(error).message },
        'a node did not receive our subscriptions',
      )
    }
  }

  /** Answers a whole list with ours, a change with nothing, or with "again" when something was missed. */
  #heard(from: string, body: Buffer): Buffer {
    const announcement = parse(body)
    const known = this.#peers.get(from)
    if (announcement.all === undefined) {
      if (known === undefined || announcement.version !== known.version + 1) return Buffer.from('again')
      this.#apply(from, known, announcement)
      return Buffer.alloc(0)
    }
    const peer = known ?? newPeer()
    this.#peers.set(from, peer)
    this.#apply(from, peer, announcement)
    return Buffer.from(JSON.stringify({ version: this.#version, all: [...this.#own] }))
  }

  #apply(name: string, peer: Peer, { version, all, add = [], remove = [] }: Announcement): void {
    if (all !== undefined) {
      const wanted = new Set(all)
      return this.#apply(name, peer, {
        version,
        add: all.filter((filter) => !peer.filters.has(filter)),
        remove: [...peer.filters].filter((filter) => !wanted.has(filter)),
      })
    }
    peer.version = version
    for (const filter of add) {
      if (peer.filters.has(filter)) continue
      peer.filters.add(filter)
      if (isEntry(filter)) this.#groups.heard(name, filter, true)
      else peer.interest.add(filter)
    }
    for (const filter of remove) {
      if (!peer.filters.delete(filter)) continue
      if (isEntry(filter)) this.#groups.heard(name, filter, false)
      else peer.interest.remove(filter)
    }
  }
}

function newPeer(): Peer {
  return { version: 0, filters: new Set(), interest: new SubscriptionInterest(), isBehind: true }
}

function parse(body: Buffer): Announcement {
  const parsed: unknown = JSON.parse(body.toString())
  if (typeof parsed !== 'object' || parsed === null || !('version' in parsed)) throw new Error('no announcement')
  const list = (name: 'all' | 'add' | 'remove'): { [key: string]: string[] } => {
    const value: unknown = name in parsed ? (parsed as Record<string, unknown>)[name] : undefined
    return Array.isArray(value) ? { [name]: value.map(String) } : {}
  }
  return { version: Number(parsed.version), ...list('all'), ...list('add'), ...list('remove') }
}
