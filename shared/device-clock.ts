/** Closer than this two offsets are one: delays differ, and clocks drift. */
const STEP_MS = 5_000
/** What was read of a clock that stepped differs by less. */
const SAME_MS = 2_000
/** A step is believed after so many messages that agree, over so long: a backlog that is sent does not, for its times run faster. */
const AGREEING = 3
const AGREEING_MS = 10_000
/** The least delay is that of this time, up to twice as long. */
const WINDOW_MS = 600_000

/** The clock of a device was set, in ms: by how much it was off before and is now. */
export interface ClockStep {
  readonly fromMs: number
  readonly toMs: number
}

/** What is known of the clock of a device, in ms. */
export interface ClockState {
  /** How far it is ahead of the receive time, where the delay was least: its error less the least delay. */
  readonly offsetMs: number
  /** Receive time of the last message that tells it. */
  readonly atMs: number
  /** When it was seen to be set last, and by how much. */
  readonly stepped: { readonly atMs: number; readonly byMs: number } | undefined
}

type Written = readonly [
  offsets: readonly number[],
  windowMs: number,
  atMs: number,
  fresh: number,
  candidate: readonly number[],
  stepped: readonly number[],
]

/**
 * Estimates how far the clock of a device is off, from the time that a message says and the one at which it came: the
 * greatest difference of the last minutes, because a message is late and never early. A message that is later than that by
 * seconds was kept, and says nothing; several that agree say that the clock was set.
 */
export class DeviceClock {
  /** Greatest differences of the window before, if there is one, and of the one in progress. */
  #offsets: number[] = []
  #windowMs = 0
  #atMs = 0
  /** Messages since the offset began. */
  #fresh = 0
  /** Where the clock may be now: difference, receive time of the first message that said so, and messages. */
  #candidate: [number, number, number] | undefined
  #stepped: [number, number] | undefined

  /** Inverse of {@link write}. */
  static read(text: string): DeviceClock {
    const clock = new DeviceClock()
    const [offsets, windowMs, atMs, fresh, [offset, since, count], [stepMs, byMs]] = JSON.parse(text) as Written // our own
    clock.#offsets = [...offsets]
    clock.#windowMs = windowMs
    clock.#atMs = atMs
    clock.#fresh = fresh
    if (offset !== undefined && since !== undefined && count !== undefined) clock.#candidate = [offset, since, count]
    if (stepMs !== undefined && byMs !== undefined) clock.#stepped = [stepMs, byMs]
    return clock
  }

  /** As text, of at most some hundred characters. */
  write(): string {
    const { state } = this
    const written: Written = [
      ...([state === undefined ? [] : this.#offsets, this.#windowMs, this.#atMs, this.#fresh] as const),
      ...([this.#candidate ?? [], this.#stepped ?? []] as const),
    ]
    return JSON.stringify(written)
  }

  /** Undefined before the first message. */
  get state(): ClockState | undefined {
    if (this.#offsets.length === 0) return undefined
    const [atMs = 0, byMs = 0] = this.#stepped ?? []
    return {
      offsetMs: Math.max(...this.#offsets),
      atMs: this.#atMs,
      stepped: this.#stepped === undefined ? undefined : { atMs, byMs },
    }
  }

  /** A message said `deviceMs` and came at `receivedMs`, in ms since 1970. Gives the step that it proves. */
  see(deviceMs: number, receivedMs: number): ClockStep | undefined {
    const offset = deviceMs - receivedMs
    const known = Math.max(...this.#offsets)
    if (this.#offsets.length > 0 && Math.abs(offset - known) <= STEP_MS) {
      this.#candidate = undefined
      this.#take(offset, receivedMs)
      return undefined
    }
    // What came first may have been kept; nothing comes early.
    if (this.#offsets.length === 0 || (offset > known && this.#fresh < AGREEING)) {
      this.#begin(offset, receivedMs, 1)
      return undefined
    }
    const [candidate, since, count] = this.#candidate ?? [Number.NaN, 0, 0]
    if (!(Math.abs(offset - candidate) <= SAME_MS)) {
      this.#candidate = [offset, receivedMs, 1]
      return undefined
    }
    this.#candidate = [candidate, since, count + 1]
    if (count + 1 < AGREEING || receivedMs - since < AGREEING_MS) return undefined
    this.#begin(Math.max(candidate, offset), receivedMs, count + 1)
    const step = { fromMs: known, toMs: Math.max(candidate, offset) }
    this.#stepped = [since, step.toMs - step.fromMs]
    return step
  }

  #begin(offset: number, receivedMs: number, messages: number): void {
    this.#offsets = [offset]
    this.#windowMs = receivedMs
    this.#atMs = receivedMs
    this.#fresh = messages
    this.#candidate = undefined
  }

  #take(offset: number, receivedMs: number): void {
    const last = this.#offsets.at(-1) ?? offset
    this.#atMs = receivedMs
    this.#fresh += 1
    if (receivedMs - this.#windowMs < WINDOW_MS) this.#offsets[this.#offsets.length - 1] = Math.max(last, offset)
    else {
      this.#offsets = [last, offset]
      this.#windowMs = receivedMs
    }
  }
}
