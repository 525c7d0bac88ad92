import crypto, { pbkdf2, timingSafeEqual } from 'node:crypto'
import { promisify } from 'node:util'
import { SluiceError } from '../../errors.ts'
import { gaugeOf, type Metrics } from '../../process/metrics.ts'
import type { ImportedPassword } from '../identity-port.ts'
import type { RegistrySchema } from './schema.ts'

const derive = promisify(pbkdf2)

/** One check at most takes about half a second of one core. */
const MAX_ITERATIONS = 600_000
/** Memory of one check of argon2id, and memory times passes, which is half a second, too. Mosquitto takes 47,104 KiB once. */
const ARGON2 = { kib: 131_072, kibTimesPasses: 262_144, lanes: 16, hash: { min: 16, max: 64 } } as const
const SALT_BYTES = { min: 8, max: 64 } as const
/** SHA-512. */
const HASH_BYTES = 64
/** Half of the threads that Node has for files and hashes. */
const MAX_RUNNING = 2
/** What waits beyond is told to come back. */
const MAX_WAITING = 1_000

/** Error: `bad_request`. */
export function checkImportedPassword(password: ImportedPassword): void {
  const { kind, salt, hash, iterations } = password
  const fail = (reason: string): never => {
    throw new SluiceError('bad_request', `the imported password: ${reason}`)
  }
  if (salt.byteLength < SALT_BYTES.min || salt.byteLength > SALT_BYTES.max) fail('the salt must have 8 to 64 bytes')
  if (!Number.isInteger(iterations) || iterations < 1) fail('iterations must be 1 or more')
  switch (kind) {
    case 'mosquitto-7':
      if (hash.byteLength !== HASH_BYTES) fail(`the hash must have ${HASH_BYTES} bytes`)
      if (iterations > MAX_ITERATIONS) fail(`iterations must be 1 to ${MAX_ITERATIONS}`)
      return
    case 'argon2id': {
      const { memoryKib, lanes } = password
      const { min, max } = ARGON2.hash
      if (hash.byteLength < min || hash.byteLength > max) fail(`the hash must have ${min} to ${max} bytes`)
      if (!Number.isInteger(lanes) || lanes < 1 || lanes > ARGON2.lanes) fail(`p must be 1 to ${ARGON2.lanes}`)
      if (!Number.isInteger(memoryKib) || memoryKib < 8 * lanes || memoryKib > ARGON2.kib) {
        fail(`m must be ${8 * lanes} to ${ARGON2.kib}`)
      }
      if (memoryKib * iterations > ARGON2.kibTimesPasses) fail(`m times t must be at most ${ARGON2.kibTimesPasses}`)
      // Before 24.7 Node has none, and where it is built with an OpenSSL before 3.2.
      if (typeof crypto.argon2 !== 'function') fail('this Node has no argon2: use the one that npm ci brings')
      return
    }
    default:
      fail('is of an unknown kind')
  }
}

type Row = Pick<RegistrySchema['imported_passwords'], 'kind' | 'salt' | 'hash' | 'iterations'>

/** As the table holds it: what argon2id has beside passes stands in front of the salt. */
export function rowOfPassword(password: ImportedPassword): Row {
  const { kind, iterations } = password
  const salt = Buffer.from(password.salt).toString('base64')
  const parameters = kind === 'argon2id' ? `m=${password.memoryKib},p=${password.lanes}$` : ''
  return { kind, iterations, salt: `${parameters}${salt}`, hash: Buffer.from(password.hash).toString('base64') }
}

/** Inverse of {@link rowOfPassword}; undefined for a kind of a newer version. */
function passwordOfRow({ kind, iterations, ...row }: Row): ImportedPassword | undefined {
  const hash = Buffer.from(row.hash, 'base64')
  if (kind === 'mosquitto-7') return { kind, iterations, hash, salt: Buffer.from(row.salt, 'base64') }
  const [, memory, lanes, salt] = /^m=(\d+),p=(\d+)\$(.*)$/.exec(row.salt) ?? []
  if (kind !== 'argon2id' || salt === undefined) return undefined
  return { kind, iterations, hash, salt: Buffer.from(salt, 'base64'), memoryKib: Number(memory), lanes: Number(lanes) }
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

  /** True when the password is the one of the row. Error: `registry_unavailable` when too many wait. */
  async matches(password: string, row: Row): Promise<boolean> {
    const imported = passwordOfRow(row)
    if (imported === undefined) return false
    if (this.#waiting.length >= MAX_WAITING) {
      throw new SluiceError('registry_unavailable', 'too many imported passwords are being checked')
    }
    if (this.#running >= MAX_RUNNING) await new Promise<void>((resolve) => this.#waiting.push(resolve))
    else this.#running += 1
    try {
      return timingSafeEqual(await hashOf(password, imported), imported.hash)
    } finally {
      // The place goes to the next one, or is free.
      const next = this.#waiting.shift()
      if (next === undefined) this.#running -= 1
      else next()
    }
  }
}

function hashOf(password: string, imported: ImportedPassword): Promise<Buffer> {
  const { kind, salt, hash, iterations } = imported
  if (kind === 'mosquitto-7') return derive(password, salt, iterations, HASH_BYTES, 'sha512')
  const { memoryKib: memory, lanes: parallelism } = imported
  const parameters = {
    message: password,
    nonce: salt,
    passes: iterations,
    memory,
    parallelism,
    tagLength: hash.byteLength,
  }
  return promisify(crypto.argon2)('argon2id', parameters)
}
