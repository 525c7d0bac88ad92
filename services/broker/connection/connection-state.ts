/**
 *   connecting --CONNECT--> admitting --logged in, CONNACK--> open --end of input--> half-closed
 *       \_______________________\______________________________\________________________\____> closing --> ended
 */
export type Phase = 'connecting' | 'admitting' | 'open' | 'half-closed' | 'closing' | 'ended'

/** For CONNECT to come, and for its answer: an attacker holds a socket no longer. */
const CONNECT_SECONDS = 10
/** For the outstanding answers of a client that has closed its side. */
const HALF_CLOSED_SECONDS = 2
/** For the last answers to be taken before the socket is destroyed. */
const CLOSING_SECONDS = 5

/** How many seconds a connection may be in a state, and silent where it is open; `keepalive` in seconds, 0 = no limit while open. */
function limitFor(phase: Phase, keepalive: number): number {
  switch (phase) {
    case 'connecting':
    case 'admitting':
      return CONNECT_SECONDS
    case 'open':
      // One and a half times the keepalive [MQTT-3.1.2-24], and a second because the clock is coarse.
      return keepalive === 0 ? Infinity : keepalive * 1.5 + 1
    case 'half-closed':
      return HALF_CLOSED_SECONDS
    case 'closing':
      return CLOSING_SECONDS
    case 'ended':
      return Infinity
  }
}

/** Time in whole seconds, kept by one timer for all connections. */
export interface CoarseTime {
  seconds: number
}

/** The state of one connection, and how long its client has been silent in it. */
export class ConnectionState {
  /** Seconds; from CONNECT. */
  keepalive = 0
  #phase: Phase = 'connecting'
  #heardAt: number
  /** When bytes came last. */
  #receivedAt: number
  readonly #time: CoarseTime

  constructor(time: CoarseTime) {
    this.#time = time
    this.#heardAt = time.seconds
    this.#receivedAt = time.seconds
  }

  get phase(): Phase {
    return this.#phase
  }

  get isClosed(): boolean {
    return this.#phase === 'closing' || this.#phase === 'ended'
  }

  get isOverdue(): boolean {
    return this.#time.seconds - this.#heardAt >= limitFor(this.#phase, this.keepalive)
  }

  /** How long its client has been silent that nothing forbids to be. */
  get unlimitedSilence(): number {
    return this.#phase === 'open' && this.keepalive === 0 ? this.#time.seconds - this.#heardAt : 0
  }

  /** Seconds since anything came of the client. */
  get silence(): number {
    return this.#time.seconds - this.#receivedAt
  }

  enter(phase: Phase): void {
    this.#phase = phase
    this.#heardAt = this.#time.seconds
  }

  /** Bytes of the client have come. */
  received(): void {
    this.#receivedAt = this.#time.seconds
    this.heard()
  }

  /** Only an open connection has a limit of silence; the others are absolute, whatever comes byte by byte. */
  heard(): void {
    if (this.#phase === 'open') this.#heardAt = this.#time.seconds
  }
}
