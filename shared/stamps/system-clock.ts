import { existsSync } from 'node:fs'
import { uptime } from 'node:os'
import { dirname } from 'node:path'

/** systemd-timesyncd makes it when it has set the clock, once per boot; whoever keeps the time otherwise may make it, too. */
const SYNCHRONIZED_FILE = '/run/systemd/timesync/synchronized'
/** Long enough for a time server to be reached. */
const ASSUMED_AFTER_MS = 60_000
/** Where nobody would tell: a machine that has run for so long has had its clock set, if anybody does that. */
const LONG_UP_S = 600

export interface SystemClockOptions {
  /** Milliseconds on a clock that nobody sets. */
  readonly steady: () => number
  /** After so long, and not before 60 s, the clock counts as synchronised whatever the system says; in milliseconds. */
  readonly waitMs?: number
  /** Whether the system says that its clock is synchronised; undefined when nobody there would ever say so. */
  readonly told?: () => boolean | undefined
  /** For how long the machine runs, in seconds. */
  readonly uptime?: () => number
}

/**
 * Whether the clock of the system is known to be synchronised: the system says so, or it has had the time for it. Only
 * the kernel knows for sure (adjtimex), and Node cannot ask it.
 */
export class SystemClock {
  readonly #options: Required<SystemClockOptions>
  readonly #start: number
  #isKnown = false

  constructor(options: SystemClockOptions) {
    this.#options = { waitMs: 0, told: toldBySystemd, uptime, ...options }
    this.#start = options.steady()
  }

  /** Looks at a file until it is true, and it stays so: not for hot paths. */
  get isKnown(): boolean {
    this.#isKnown ||= this.#look()
    return this.#isKnown
  }

  #look(): boolean {
    const { steady, waitMs, told } = this.#options
    const waited = steady() - this.#start
    if (waited >= Math.max(waitMs, ASSUMED_AFTER_MS)) return true
    return told() ?? this.#options.uptime() - waited / 1000 >= LONG_UP_S
  }
}

function toldBySystemd(): boolean | undefined {
  return existsSync(SYNCHRONIZED_FILE) || (existsSync(dirname(SYNCHRONIZED_FILE)) ? false : undefined)
}
