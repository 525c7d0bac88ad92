import { resultCodeOf, storageFault } from '../../storage/storage-fault.ts'
import type { Span } from './time.ts'

/** Which points of a file of chunks are missing or cannot be read. */
export interface Lost {
  /** Undefined where it may be any. */
  readonly series: number | undefined
  readonly span: Span
}

/**
 * A file of chunks does not hold what it held: a checksum differs, a chunk is missing, or SQLite finds its structure
 * wrong. Nothing of what was asked for is answered.
 */
export class Damage extends Error {
  override readonly name = 'Damage'
  readonly file: string
  readonly lost: Lost | undefined
  /** What is there is whole, but not all is there. */
  readonly isMissing: boolean

  constructor(file: string, what: string, lost: Lost | undefined, cause?: unknown) {
    super(what, { cause })
    this.file = file
    this.lost = lost
    this.isMissing = cause === undefined
  }
}

/** Result codes of statements that never fail but on a file that is not what it was. */
const DAMAGED: readonly number[] = [
  1, // SQLITE_ERROR: a table or a column is not there
  7, // SQLITE_NOMEM: a length beyond all bounds
  18, // SQLITE_TOOBIG
  19, // SQLITE_CONSTRAINT
  20, // SQLITE_MISMATCH
]

/** True for an error that a file which holds what it held does not give. */
export function isDamage(error: unknown): boolean {
  if (error instanceof RangeError || error instanceof Damage || storageFault(error) === 'corrupt') return true
  const code = resultCodeOf(error)
  return code !== undefined && DAMAGED.includes(code & 0xff)
}

/** The error as damage of a file when that is what it tells; else as it is. */
export function asDamage(error: unknown, file: string, lost?: Lost): unknown {
  if (error instanceof Damage || !isDamage(error)) return error
  return new Damage(file, error instanceof Error ? error.message : String(error), lost, error)
}
