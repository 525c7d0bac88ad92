import { SqlError } from 'mariadb'
import { SluiceError, toSluiceError, type ErrorCode } from '../../errors.ts'
import { isUntrusted } from '../../untrusted.ts'

/** What MariaDB's errors mean: https://mariadb.com/kb/en/mariadb-error-code-reference/ and the connector's own. */

const DUPLICATE_ENTRY = 1062
const LOCK_WAIT_TIMEOUT = 1205
const DEADLOCK = 1213
/** The server was started, or set, read-only: it may be a replica that is not the primary any more. */
const READ_ONLY: ReadonlySet<number> = new Set([1290, 1792, 1836])

/** Nobody can log in, or the database is not what the settings say: somebody must act. */
const REFUSED = [
  1044, // no right to this database
  1045, // wrong user or password
  1049, // unknown database
  1054, // unknown column
  1130, // host not allowed
  1142, // no right to this statement
  1143, // no right to this column
  1146, // unknown table
  1153, // packet larger than max_allowed_packet
  1227, // privilege missing
  1251, // login method not supported
  1698, // login method refused
  1820, // password must be changed
  1862, // password expired
  45022, // the server offers no TLS
  45023, // TLS switched off in the server
  45024, // malformed answer to the login
  45025, // login method not supported by the connector
  45043, // bad parameter of a connection
  45046, // packet larger than the server takes
  45047, // login method not supported by the connector
  45056, // certificate not trusted
  45057, // certificate not trusted, no password to prove it by
  45059, // certificate of another host
  45063, // certificate not trusted
  45064, // password would travel in clear text
]

/** A value that this column never takes. */
const REJECTED = [1264, 1265, 1292, 1366, 1406]

const PASSING = [
  1028, 1037, 1038, 1041, // out of memory
  1040, 1203, 1226, // too many connections
  1053, 1077, 1079, 1080, // shutting down
  1152, 1158, 1159, 1160, 1161, // network
  1317, 1927, 1969, // killed or timed out
  LOCK_WAIT_TIMEOUT,
  DEADLOCK,
  ...READ_ONLY,
] // prettier-ignore

const FULL = [1021, 1114]

const CODES: ReadonlyMap<number, ErrorCode> = new Map([
  ...REFUSED.map((errno) => [errno, 'registry_refused'] as const),
  ...REJECTED.map((errno) => [errno, 'store_rejected'] as const),
  ...PASSING.map((errno) => [errno, 'registry_unavailable'] as const),
  ...FULL.map((errno) => [errno, 'disk_full'] as const),
])

/** Errors of the connector itself: no connection, a lost one, a timeout. */
const isOfConnector = (errno: number): boolean => errno > 45_000 && errno < 46_000

/** The text says what happened, but neither the statement nor its values. */
export function mariadbError(error: unknown): SluiceError {
  if (!(error instanceof SqlError)) return toSluiceError(error, codeOfSocket(error))
  const { errno, fatal, sqlMessage, code, cause } = error
  const known = CODES.get(errno)
  // A pool that cannot connect says why in the cause.
  if (known === undefined && cause instanceof SqlError) return mariadbError(cause)
  const isPassing = fatal || isOfConnector(errno) || errno <= 0
  const text = `MariaDB: ${sqlMessage ?? error.message} (${code ?? errno})`
  return new SluiceError(known ?? (isPassing ? 'registry_unavailable' : 'internal'), text, { cause: error })
}

/** Of errors of the system, and of TLS, the connector only marks those that end its connection. */
function codeOfSocket(error: unknown): ErrorCode {
  if (!(error instanceof Error && 'fatal' in error && error.fatal === true)) return 'internal'
  return 'code' in error && isUntrusted(error.code) ? 'registry_refused' : 'registry_unavailable'
}

export function isDuplicate(error: unknown): boolean {
  return error instanceof SqlError && error.errno === DUPLICATE_ENTRY
}

/** The transaction, or the statement, was rolled back for others to go on: the same may succeed now. */
export function isConflict(error: unknown): boolean {
  return error instanceof SqlError && (error.errno === DEADLOCK || error.errno === LOCK_WAIT_TIMEOUT)
}

/** The connection is of no further use although it works: a new one may reach a server that can be written. */
export function isReadOnly(error: unknown): boolean {
  return error instanceof SqlError && READ_ONLY.has(error.errno)
}
