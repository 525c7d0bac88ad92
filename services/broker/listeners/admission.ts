import type { Socket } from 'node:net'
import { isLoopback, siteOf } from '../../../shared/addresses.ts'

export interface AdmissionLimits {
  /** Connections of this node. */
  readonly connections: number
  /** Connections of one address (IPv6: one /64); 0 = no limit. */
  readonly perAddress: number
  /** New connections per second that are begun with; 0 = no limit. */
  readonly perSecond: number
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
/** How often those who wait for their turn are looked at. */
const TURN_MS = 20
/** So many begin at once, or a tenth of a second's: more would hold up those who are connected. */
const BURST = 10

interface Pending {
  readonly deadline: number
  isWaiting: boolean
}

/**
 * Who may begin: counts connections and spreads new ones over time. A new one beyond the rate is not refused but waits,
 * unread, because a fleet that comes back at once would only come back again. What is beyond a number of connections is
 * reset. No address is remembered for what it sent.
 */
export class Admission {
  readonly turnedAway = new Map<Turned, number>()
  readonly #limits: AdmissionLimits
  readonly #now: () => number
  readonly #perSite = new Map<string, number>()
  /** Oldest first. */
  readonly #pending = new Map<Socket, Pending>()
  /** Each with what lets it begin. */
  readonly #queue = new Map<Socket, () => void>()
  readonly #sweep: NodeJS.Timeout
  /** Most tokens that gather. */
  readonly #burst: number
  #turns: NodeJS.Timeout | undefined
  #open = 0
  #tokens: number
  #refilledAt: number

  constructor(limits: AdmissionLimits, now: () => number = () => performance.now()) {
    this.#limits = limits
    this.#now = now
    this.#burst = Math.min(limits.perSecond, Math.max(BURST, limits.perSecond / 10))
    this.#tokens = this.#burst
    this.#refilledAt = now()
    this.#sweep = setInterval(() => this.#closeOverdue(), SWEEP_MS)
  }

  /** Connections that wait for their turn. */
  get waiting(): number {
    return this.#queue.size
  }

  /** Connections that are open, handshakes included. */
  get open(): number {
    return this.#open
  }

  /** A connection was accepted: calls `begin` when it is its turn, or never when it is turned away or leaves. */
  arrive(socket: Socket, isExempt: boolean, begin: () => void): void {
    if (this.#open >= this.#limits.connections) return this.turnAway(socket, 'node_full')
    this.#open += 1
    const pending = { deadline: this.#now() + HANDSHAKE_MS, isWaiting: false }
    this.#pending.set(socket, pending)
    socket.once('close', () => this.#left(socket))
    if (isExempt || this.#limits.perSecond === 0 || (this.#queue.size === 0 && this.#takeToken())) return begin()
    pending.isWaiting = true
    this.#queue.set(socket, begin)
    this.#turns ??= setInterval(() => this.#takeTurns(), TURN_MS)
  }

  /** The address of the client is known. False when it has too many connections; then it is turned away. */
  enter(socket: Socket, address: string): boolean {
    if (this.#limits.perAddress === 0 || isLoopback(address)) return true
    const site = siteOf(address)
    const count = this.#perSite.get(site) ?? 0
    if (count >= this.#limits.perAddress) {
      this.turnAway(socket, 'address_full')
      return false
    }
    this.#perSite.set(site, count + 1)
    socket.once('close', () => {
      const rest = (this.#perSite.get(site) ?? 1) - 1
      if (rest > 0) this.#perSite.set(site, rest)
      else this.#perSite.delete(site)
    })
    return true
  }

  /** MQTT begins: from here on the gate keeps the time. */
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
    this.#turns = undefined
    this.#queue.clear()
    for (const socket of this.#pending.keys()) socket.destroy()
  }

  #left(socket: Socket): void {
    this.#open -= 1
    this.#pending.delete(socket)
    this.#queue.delete(socket)
  }

  #takeTurns(): void {
    for (const [socket, begin] of this.#queue) {
      if (!this.#takeToken()) return
      this.#queue.delete(socket)
      const pending = this.#pending.get(socket)
      if (pending !== undefined) pending.isWaiting = false
      if (!socket.destroyed) begin()
    }
    clearInterval(this.#turns)
    this.#turns = undefined
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
