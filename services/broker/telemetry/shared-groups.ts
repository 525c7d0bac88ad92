import { gaugeOf, type Metrics } from '../../../shared/process/metrics.ts'
import { filterBehind } from '../../../shared/shared-subscription.ts'
import { matches } from '../../../shared/topic-filter.ts'

/** A client that is subscribed to a share. */
export interface Member {
  readonly clientId: string
  /** Undefined: here. */
  readonly node: string | undefined
}

/** Who is to have a message of a group. */
export interface Turn extends Member {
  readonly share: string
}

interface Group {
  readonly filter: string
  readonly members: Member[]
  turn: number
}

/** Topics whose groups are remembered; more of them are asked again. */
const MAX_REMEMBERED = 10_000
/** Between share and client id in an entry: a share has no control character. */
const BETWEEN = '\n'

/** What other nodes are told of a member; no topic filter is like it. */
function entryOf(share: string, clientId: string): string {
  return `${share}${BETWEEN}${clientId}`
}

export function isEntry(text: string): boolean {
  return text.includes(BETWEEN)
}

/**
 * The connected members of groups (all clients that are subscribed to the same share), here and on other nodes: what is
 * not stored goes to one of them by turns. What is stored is shared out by the store of sessions.
 */
export class SharedGroups {
  readonly #groups = new Map<string, Group>()
  readonly #answers = new Map<string, readonly [string, Group][]>()
  readonly #onChange: (entry: string, isThere: boolean) => void

  /** `onChange` is told of members here, for the other nodes. */
  constructor(onChange: (entry: string, isThere: boolean) => void = () => undefined) {
    this.#onChange = onChange
  }

  /** Members of all groups. */
  get members(): number {
    return [...this.#groups.values()].reduce((sum, { members }) => sum + members.length, 0)
  }

  /** Groups. */
  get size(): number {
    return this.#groups.size
  }

  /** A client of this node is subscribed, and was not before. */
  add(share: string, clientId: string): void {
    this.#add(share, { clientId, node: undefined })
    this.#onChange(entryOf(share, clientId), true)
  }

  remove(share: string, clientId: string): void {
    this.#remove(share, (member) => member.node === undefined && member.clientId === clientId)
    this.#onChange(entryOf(share, clientId), false)
  }

  /** Another node says so. */
  heard(node: string, entry: string, isThere: boolean): void {
    const end = entry.indexOf(BETWEEN)
    const [share, clientId] = [entry.slice(0, end), entry.slice(end + 1)]
    if (isThere) this.#add(share, { clientId, node })
    else this.#remove(share, (member) => member.node === node && member.clientId === clientId)
  }

  /** A node is gone. */
  forget(node: string): void {
    for (const share of [...this.#groups.keys()]) this.#remove(share, (member) => member.node === node)
  }

  /** Whose turn it is in each group that gets messages of the topic; on a node of `except` nobody's. */
  next(topic: string, except: readonly string[] = []): Turn[] {
    if (this.#groups.size === 0) return []
    return this.#groupsOf(topic).flatMap(([share, group]) => {
      const isThere = ({ node }: Member): boolean => node === undefined || !except.includes(node)
      const members = except.length === 0 ? group.members : group.members.filter(isThere)
      const member = members[group.turn % members.length]
      group.turn = (group.turn + 1) % Number.MAX_SAFE_INTEGER
      return member === undefined ? [] : [{ ...member, share }]
    })
  }

  #groupsOf(topic: string): readonly [string, Group][] {
    const known = this.#answers.get(topic)
    if (known !== undefined) return known
    const found = [...this.#groups].filter(([, { filter }]) => matches(filter, topic))
    if (this.#answers.size >= MAX_REMEMBERED) this.#answers.clear()
    this.#answers.set(topic, found)
    return found
  }

  #add(share: string, member: Member): void {
    const group = this.#groups.get(share)
    if (group !== undefined) return void group.members.push(member)
    this.#groups.set(share, { filter: filterBehind(share), members: [member], turn: 0 })
    this.#answers.clear()
  }

  #remove(share: string, isMeant: (member: Member) => boolean): void {
    const group = this.#groups.get(share)
    if (group === undefined) return
    const left = group.members.filter((member) => !isMeant(member))
    group.members.splice(0, Infinity, ...left)
    if (left.length > 0) return
    this.#groups.delete(share)
    this.#answers.clear()
  }
}

export function exposeGroups(groups: SharedGroups, metrics: Metrics): void {
  const all: [string, string, () => number][] = [
    [
      'sluice_broker_shared_groups',
      'Groups of shared subscriptions with connected members, of all nodes',
      () => groups.size,
    ],
    ['sluice_broker_shared_members', 'Connected members of these groups, of all nodes', () => groups.members],
  ]
  for (const [name, help, read] of all) gaugeOf(metrics, name, help, read)
}
