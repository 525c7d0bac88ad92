import { SluiceError } from '../../errors.ts'
import { filterBehind } from '../../shared-subscription.ts'
import { matches } from '../../topic-filter.ts'
import { principalOf } from '../client-id.ts'
import type { MAX_SHARED } from '../bounds.ts'

interface Membership {
  readonly qos: number
  /** The session ends with its connection. */
  readonly clean: boolean
}

interface Group {
  readonly filter: string
  /** Who made it. */
  readonly application: string
  readonly members: Map<string, Membership>
  turn: number
}

/** A member that is to have a message, and at which QoS. */
export interface Chosen {
  readonly clientId: string
  readonly qos: number
  readonly isConnected: boolean
}

/** Which sessions are members of which groups: in memory; of persistent ones the file has the subscriptions. */
export class GroupTable {
  readonly #max: typeof MAX_SHARED
  readonly #isConnected: (clientId: string) => boolean
  readonly #groups = new Map<string, Group>()
  readonly #sharesOf = new Map<string, Set<string>>()

  /** `isConnected` is asked about persistent sessions. */
  constructor(max: typeof MAX_SHARED, isConnected: (clientId: string) => boolean) {
    this.#max = max
    this.#isConnected = isConnected
  }

  /** Error: `session_limit`. */
  join(clientId: string, share: string, membership: Membership): void {
    const application = principalOf(clientId).name
    const group = this.#groups.get(share) ?? this.#begin(share, application)
    if (!group.members.has(clientId) && group.members.size >= this.#max.members) {
      throw new SluiceError('session_limit', `${share} has ${this.#max.members} members`)
    }
    group.members.set(clientId, membership)
    const shares = this.#sharesOf.get(clientId) ?? new Set()
    this.#sharesOf.set(clientId, shares.add(share))
  }

  leave(clientId: string, share: string): void {
    const group = this.#groups.get(share)
    group?.members.delete(clientId)
    if (group?.members.size === 0) this.#groups.delete(share)
    const shares = this.#sharesOf.get(clientId)
    if (shares?.delete(share) === true && shares.size === 0) this.#sharesOf.delete(clientId)
  }

  leaveAll(clientId: string): void {
    for (const share of [...(this.#sharesOf.get(clientId) ?? [])]) this.leave(clientId, share)
  }

  /** Shares of the groups that want messages of the topic. */
  sharesFor(topic: string): string[] {
    return [...this.#groups].flatMap(([share, { filter }]) => (matches(filter, topic) ? [share] : []))
  }

  /** Members but for one. */
  others(share: string, clientId: string): number {
    const members = this.#groups.get(share)?.members
    return members === undefined ? 0 : members.size - (members.has(clientId) ? 1 : 0)
  }

  /**
   * By turns one that is connected, else one that is away; never `except`. "full" when all that would be have no room,
   * "nobody" when there is none.
   */
  choose(share: string, qos: number, hasRoom: (id: string) => boolean, except?: string): Chosen | 'full' | 'nobody' {
    const group = this.#groups.get(share)
    if (group === undefined) return 'nobody'
    let full = false
    const found: Chosen[] = []
    for (const [clientId, { qos: most, clean }] of group.members) {
      const granted = Math.min(most, qos)
      const isConnected = clean || this.#isConnected(clientId)
      if (clientId === except || (granted === 0 && !isConnected)) continue
      if (granted > 0 && !hasRoom(clientId)) full = true
      else found.push({ clientId, qos: granted, isConnected })
    }
    const live = found.filter(({ isConnected }) => isConnected)
    const from = live.length > 0 ? live : found
    const chosen = from[group.turn % from.length]
    if (chosen === undefined) return full ? 'full' : 'nobody'
    group.turn = (group.turn + 1) % Number.MAX_SAFE_INTEGER
    return chosen
  }

  #begin(share: string, application: string): Group {
    const own = [...this.#groups.values()].filter((group) => group.application === application).length
    if (this.#groups.size >= this.#max.groups || own >= this.#max.groupsOfLogin) {
      const message = `there are ${this.#groups.size} groups of shared subscriptions, ${own} of them made by ${application}`
      throw new SluiceError('session_limit', message)
    }
    const group = { filter: filterBehind(share), application, members: new Map<string, Membership>(), turn: 0 }
    this.#groups.set(share, group)
    return group
  }
}
