import type { Socket } from 'node:net'
import { isLoopback, siteOf } from '../../../shared/addresses.ts'
import { SiteCounts } from '../../../shared/site-counts.ts'

export interface AdmissionLimits {
  /** Connections of this node. */
  readonly connections: number
  /** Connections of one address (IPv6: one /64); 0 = no limit. */
  readonly perAddress: number
  /** New connections per second that are begun with; 0 = no limit. */
  readonly perSecond: number
  /** Whether too many logins from this address have failed lately. */
  readonly isGuessing: (address: string) => boolean
}

/** Why a connection was closed before it spoke MQTT. */
export type Turned =
  | 'node_full'
  | 'address_full'
  | 'handshake_rate'
  | 'handshake_timeout'
  | 'proxy_unlisted'
  | 'proxy_invalid'
  | 'tls_failed'
  | 'certificate_refused'
  | 'websocket_refused'

/** For PROXY header, TLS and the WebSocket upgrade together, the wait for one's turn included. */
const HANDSHAKE_MS = 10_000
const SWEEP_MS = 1_000
/** Between two looks at those who wait for their turn: shorter than what each of them takes would only be work. */
const MIN_TURN_MS = 2
/**
 * Between two connections that begin from an address where logins are guessed: a hundred a second, of which each costs a
 * fraction of a millisecond, are not felt, and a site that has one wrong device among many comes back.
 */
const GUESSING_TURN_MS = 10
/** So many begin at once, or a tenth of a second's: more would hold up those who are connected. */
const BURST = 10

interface Pending {
  readonly deadline: number
  isWaiting: boolean
}

/**
 * Who may begin: counts connections and spreads new ones over time. A new one beyond the rate is not refused but waits,
 * unread, because a fleet that comes back at once would only come back again; so does one from an address where logins are
 * guessed. What is beyond a number of connections is reset. No address is remembered for what it sent.
 */
export class Admission {
  readonly turnedAway = new Map<Turned, number>()
  readonly #limits: AdmissionLimits
  readonly #now: () => number
  readonly #perSite: SiteCounts
  /** Oldest first. */
  readonly #pending = new Map<Socket, Pending>()
  /** Each with what lets it begin. */
  readonly #queue = new Map<Socket, () => void>()
  /** The same for each site where logins are guessed: each has a turn of its own. */
  readonly #guessing = new Map<string, Map<Socket, () => void>>()
  readonly #sweep: NodeJS.Timeout
  /** One at a time, where the rate allows: what is connected waits for no more than one newcomer. */
  readonly #turnMs: number
  /** Most tokens that gather. */
  readonly #burst: number
  #turns: NodeJS.Timeout | undefined
  #guessingTurns: NodeJS.Timeout | undefined
  #open = 0
  #tokens: number
  #refilledAt: number

  constructor(limits: AdmissionLimits, now: () => number = () => performance.now()) {
    this.#limits = limits
    this.#perSite = new SiteCounts(limits.perAddress)
    this.#now = now
    this.#turnMs = Math.max(MIN_TURN_MS, 1_000 / limits.perSecond)
    this.#burst = Math.min(limits.perSecond, Math.max(BURST, limits.perSecond / 10))
    this.#tokens = this.#burst
    this.#refilledAt = now()
    this.#sweep = setInterval(() => this.#closeOverdue(), SWEEP_MS)
  }

  /** Connections that wait for a handshake slot. */
  get waiting(): number {
    let waiting = this.#queue.size
    for (const queue of this.#guessing.values()) waiting += queue.size
    return waiting
  }

  /** Connections that are open, handshakes included. */
  get open(): number {
    return this.#open
  }

  /** A connection was accepted: calls `begin` when it is its turn, or never when it is turned away or leaves. */
  arrive(socket: Socket, isExempt: boolean, begin: () => void): void {
    if (this.#open >= this.#limits.connections) return this.turnAway(socket, 'node_full')
    this.#open += 1
    this.#pending.set(socket, { deadline: this.#now() + HANDSHAKE_MS, isWaiting: false })
    socket.once('close', () => this.#left(socket))
    if (isExempt || this.#limits.perSecond === 0 || (this.#queue.size === 0 && this.#takeToken())) return begin()
    this.#wait(socket, this.#queue, begin)
    this.#turns ??= setInterval(() => this.#takeTurns(), this.#turnMs)
  }

  /**
   * The address of the client is known: calls `begin`, after a while when logins are guessed from there, or never when it
   * has too many connections; then this one is turned away.
   */
  enter(socket: Socket, address: string, begin: () => void): void {
    if (isLoopback(address)) return begin()
    const site = siteOf(address)
    if (!this.#count(socket, site)) return this.turnAway(socket, 'address_full')
    const isFree = !this.#guessing.has(site) && !this.#limits.isGuessing(address)
    if (isFree) return begin()
    const queue = this.#guessing.get(site) ?? new Map<Socket, () => void>()
    this.#guessing.set(site, queue)
    this.#wait(socket, queue, begin)
    this.#guessingTurns ??= setInterval(() => this.#takeGuessingTurns(), GUESSING_TURN_MS)
  }

  /** MQTT begins: from here on the limits of connection-state.ts apply. */
  complete(socket: Socket): void {
    this.#pending.delete(socket)
  }

  /** Counts, and resets the connection: nothing of it stays in the kernel. */
  turnAway(socket: Socket, why: Turned): void {
    this.count(why)
    socket.resetAndDestroy()
  }

  count(why: Turned): void {
    this.turnedAway.set(why, (this.turnedAway.get(why) ?? 0) + 1)
  }

  /** Closes what has not come to MQTT. */
  close(): void {
    clearInterval(this.#sweep)
    clearInterval(this.#turns)
    clearInterval(this.#guessingTurns)
    this.#turns = this.#guessingTurns = undefined
    this.#queue.clear()
    this.#guessing.clear()
    for (const socket of this.#pending.keys()) socket.destroy()
  }

  #left(socket: Socket): void {
    this.#open -= 1
    this.#pending.delete(socket)
  }

  /** False when the site has too many connections. */
  #count(socket: Socket, site: string): boolean {
    const giveBack = this.#perSite.take(site)
    if (giveBack !== undefined) socket.once('close', giveBack)
    return giveBack !== undefined
  }

  #wait(socket: Socket, queue: Map<Socket, () => void>, begin: () => void): void {
    const pending = this.#pending.get(socket)
    if (pending !== undefined) pending.isWaiting = true
    queue.set(socket, () => {
      if (pending !== undefined) pending.isWaiting = false
      queue.delete(socket)
      if (!socket.destroyed) begin()
    })
    socket.once('close', () => queue.delete(socket))
  }

  #takeTurns(): void {
    for (const begin of this.#queue.values()) {
      if (!this.#takeToken()) return
      begin()
    }
    clearInterval(this.#turns)
    this.#turns = undefined
  }

  /** One of each site. */
  #takeGuessingTurns(): void {
    for (const [site, queue] of this.#guessing) {
      const [begin] = queue.values()
      if (begin === undefined) this.#guessing.delete(site)
      else begin()
    }
    if (this.#guessing.size > 0) return
    clearInterval(this.#guessingTurns)
    this.#guessingTurns = undefined
  }

  #takeToken(): boolean {
    const { perSecond } = this.#limits
    const now = this.#now()
    this.#tokens = Math.min(this.#burst, this.#tokens + ((now - this.#refilledAt) / 1000) * perSecond)
    this.#refilledAt = now
    if (this.#tokens < 1) return false
    this.#tokens -= 1
    return true
  }

  #closeOverdue(): void {
    const now = this.#now()
    for (const [socket, { deadline, isWaiting }] of this.#pending) {
      if (deadline > now) return
      this.#pending.delete(socket)
      this.turnAway(socket, isWaiting ? 'handshake_rate' : 'handshake_timeout')
    }
  }
}
