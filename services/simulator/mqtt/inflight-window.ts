/** Where the exchange of one message stands. */
export const STAGE = { free: 0, awaitingAck: 1, awaitingComplete: 2 } as const

/**
 * The messages of one client that are not finished, in fixed memory. Packet identifiers are 1 to the size of the
 * window and are reused in turn, the longest free one first.
 */
export class InflightWindow {
  readonly #stage: Uint8Array
  readonly #sequence: Uint32Array
  readonly #sentAt: Float64Array
  readonly #free: Uint16Array
  #freeHead = 0
  #freeCount: number

  constructor(size: number) {
    this.#stage = new Uint8Array(size + 1)
    this.#sequence = new Uint32Array(size + 1)
    this.#sentAt = new Float64Array(size + 1)
    this.#free = Uint16Array.from({ length: size }, (_, index) => index + 1)
    this.#freeCount = size
  }

  get size(): number {
    return this.#free.length
  }

  get open(): number {
    return this.#free.length - this.#freeCount
  }

  get hasRoom(): boolean {
    return this.#freeCount > 0
  }

  /** Takes an identifier; there must be room. */
  take(sequence: number, sentAt: number): number {
    const id = this.#free[this.#freeHead] ?? 0
    this.#freeHead = (this.#freeHead + 1) % this.#free.length
    this.#freeCount -= 1
    this.#stage[id] = STAGE.awaitingAck
    this.#sequence[id] = sequence
    this.#sentAt[id] = sentAt
    return id
  }

  release(id: number): void {
    this.#stage[id] = STAGE.free
    this.#free[(this.#freeHead + this.#freeCount) % this.#free.length] = id
    this.#freeCount += 1
  }

  /** 0 (free) for an identifier outside the window, too. */
  stage(id: number): number {
    return this.#stage[id] ?? STAGE.free
  }

  awaitComplete(id: number): void {
    this.#stage[id] = STAGE.awaitingComplete
  }

  sequence(id: number): number {
    return this.#sequence[id] ?? 0
  }

  sentAt(id: number): number {
    return this.#sentAt[id] ?? 0
  }

  /** Identifiers in use, in the order in which their messages were first sent [MQTT-4.6.0-1]. */
  unfinished(): number[] {
    const ids: number[] = []
    for (let id = 1; id < this.#stage.length; id += 1) if (this.#stage[id] !== STAGE.free) ids.push(id)
    return ids.sort((a, b) => this.sequence(a) - this.sequence(b))
  }
}
