import { SluiceError } from '../../../shared/errors.ts'

/** What is known of one reading. */
export type LedgerEntry = 'unsent' | 'sent' | 'acknowledged'

const UNSENT = 0
const SENT = 1
/** Acknowledged entries hold this plus their age in steps of 0.1 ms, so that 0 and 1 stay free. */
const ACKNOWLEDGED = 2
const STEPS_PER_MS = 10
const LATEST_STEP = 2 ** 32 - 1

/** 4 bytes each: 200 MB, which is more than two hours at 5,000 readings per second. */
const DEFAULT_MAX_READINGS = 50_000_000
const FIRST_CAPACITY = 64

/**
 * Writes down each reading that was sent and when it was acknowledged, by device and sequence number, in 4 bytes each.
 * What the reading held is not kept: the workload computes it again.
 */
export class Ledger {
  readonly #devices: Uint32Array[]
  readonly #startedAt: number
  readonly #maxReadings: number
  #allocated = 0
  #sent = 0
  #acknowledged = 0

  /** `startedAt` is the moment that ages are counted from, in the same milliseconds as later calls use. */
  constructor(options: { devices: number; startedAt: number; maxReadings?: number }) {
    this.#devices = Array.from({ length: options.devices }, () => new Uint32Array(0))
    this.#startedAt = options.startedAt
    this.#maxReadings = options.maxReadings ?? DEFAULT_MAX_READINGS
  }

  get deviceCount(): number {
    return this.#devices.length
  }

  /** Readings sent at least once. */
  get sent(): number {
    return this.#sent
  }

  get acknowledged(): number {
    return this.#acknowledged
  }

  /** One more than the highest sequence number that the device sent. */
  length(device: number): number {
    const entries = this.#entries(device)
    let length = entries.length
    while (length > 0 && entries[length - 1] === UNSENT) length -= 1
    return length
  }

  /** Error: `command_failed` when the ledger is full. */
  markSent(device: number, sequence: number): void {
    const entries = this.#room(device, sequence)
    if (entries[sequence] !== UNSENT) return
    entries[sequence] = SENT
    this.#sent += 1
  }

  /** Only the first acknowledgement counts; `at` is when it came. */
  markAcknowledged(device: number, sequence: number, at: number): void {
    const entries = this.#room(device, sequence)
    const before = entries[sequence]
    if (before !== UNSENT && before !== SENT) return
    if (before === UNSENT) this.#sent += 1
    const steps = Math.max(0, Math.round((at - this.#startedAt) * STEPS_PER_MS))
    entries[sequence] = Math.min(ACKNOWLEDGED + steps, LATEST_STEP)
    this.#acknowledged += 1
  }

  entry(device: number, sequence: number): LedgerEntry {
    const value = this.#entries(device)[sequence] ?? UNSENT
    if (value === UNSENT) return 'unsent'
    return value === SENT ? 'sent' : 'acknowledged'
  }

  /** When the reading was acknowledged, in ms after the start; undefined when it was not. */
  acknowledgedAfterMs(device: number, sequence: number): number | undefined {
    const value = this.#entries(device)[sequence] ?? UNSENT
    return value < ACKNOWLEDGED ? undefined : (value - ACKNOWLEDGED) / STEPS_PER_MS
  }

  #entries(device: number): Uint32Array {
    const entries = this.#devices[device]
    if (entries === undefined) throw new RangeError(`the ledger has no device ${device}`)
    return entries
  }

  #room(device: number, sequence: number): Uint32Array {
    const entries = this.#entries(device)
    if (sequence < entries.length) return entries
    const capacity = Math.max(FIRST_CAPACITY, sequence + 1, Math.ceil(entries.length * 1.5))
    this.#allocated += capacity - entries.length
    if (this.#allocated > this.#maxReadings) {
      const advice = 'use a shorter run, or omit --verify'
      throw new SluiceError('command_failed', `the ledger is full (${this.#maxReadings} readings): ${advice}`)
    }
    const grown = new Uint32Array(capacity)
    grown.set(entries)
    this.#devices[device] = grown
    return grown
  }
}
