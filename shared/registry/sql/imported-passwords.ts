import { pbkdf2, timingSafeEqual } from 'node:crypto'
import { promisify } from 'node:util'
import { SluiceError } from '../../errors.ts'
import { gaugeOf, type Metrics } from '../../process/metrics.ts'
import type { ImportedPassword } from '../identity-port.ts'

const derive = promisify(pbkdf2)

/** One check at most takes about half a second of one core. */
const MAX_ITERATIONS = 600_000
const SALT_BYTES = { min: 8, max: 64 } as const
/** SHA-512. */
const HASH_BYTES = 64
/** Half of the threads that Node has for files and hashes. */
const MAX_RUNNING = 2
/** What waits beyond is told to come back. */
const MAX_WAITING = 1_000

/** Error: `bad_request`. */
export function checkImportedPassword({ kind, salt, hash, iterations }: ImportedPassword): void {
  const fail = (reason: string): never => {
    throw new SluiceError('bad_request', `the imported password: ${reason}`)
  }
  if (kind !== 'mosquitto-7') fail('is of an unknown kind')
  if (salt.byteLength < SALT_BYTES.min || salt.byteLength > SALT_BYTES.max) fail('the salt must have 8 to 64 bytes')
  if (hash.byteLength !== HASH_BYTES) fail(`the hash must have ${HASH_BYTES} bytes`)
  if (!Number.isInteger(iterations) || iterations < 1 || iterations > MAX_ITERATIONS) {
    fail(`iterations must be 1 to ${MAX_ITERATIONS}`)
  }
}

/** Checks passwords against slow hashes, off the main thread, a few at a time. */
export class PasswordChecks {
  #running = 0
  readonly #waiting: (() => void)[] = []

  constructor(metrics: Metrics) {
    gaugeOf(
      metrics,
      'sluice_registry_password_checks_waiting',
      'Checks of imported passwords that wait for a thread',
      () => this.#waiting.length,
    )
  }

  /** True when the password is the one. Error: `registry_unavailable` when too many wait. */
  async matches(password: string, { salt, hash, iterations }: ImportedPassword): Promise<boolean> {
    if (this.#waiting.length >= MAX_WAITING) {
      throw new SluiceError('registry_unavailable', 'too many imported passwords are being checked')
    }
    if (this.#running >= MAX_RUNNING) await new Promise<void>((resolve) => this.#waiting.push(resolve))
    else this.#running += 1
    try {
      return timingSafeEqual(await derive(password, salt, iterations, HASH_BYTES, 'sha512'), hash)
    } finally {
      // The place goes to the next one, or is free.
      const next = this.#waiting.shift()
      if (next === undefined) this.#running -= 1
      else next()
    }
  }
}
