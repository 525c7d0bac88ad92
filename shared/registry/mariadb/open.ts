import { CompiledQuery, Kysely, sql } from 'kysely'
import type { PoolConfig } from 'mariadb'
import { SluiceError } from '../../errors.ts'
import type { Logger } from '../../process/logger.ts'
import type { Metrics } from '../../process/metrics.ts'
import { untilReached, type Waiting } from '../../process/wait-for-server.ts'
import { STATE_COLUMNS, type SqlFlavour, type StateRow } from '../sql/sql-flavour.ts'
import { mariadbDialect } from './dialect.ts'
import { isConflict, isDuplicate, mariadbError } from './errors.ts'
import { MariadbMetrics } from './metrics.ts'
import { MariadbPool } from './pool.ts'
import type { Registry } from '../port.ts'
import type { RegistryTables } from '../tables-port.ts'
import type { RegistrySchema } from '../sql/schema.ts'
import type { SqlRegistryOptions } from '../sql/sql-options.ts'
import { openSqlRegistry } from '../sql/sql-registry.ts'
import { openSqlTables } from '../sql/sql-tables.ts'

export interface MariadbRegistryOptions extends Waiting {
  /**
   * `mariadb://user:password@host:port/database`, with `?ssl=true` for TLS with a trusted certificate. A function is asked
   * at the start, and again when the server refuses the login.
   */
  readonly url: string | (() => string)
  /** Certificates that the server is verified with, PEM, asked with the URL; those of the system without it. */
  readonly ca?: (() => string) | undefined
  /** 32 bytes, the same for all processes of the cluster. */
  readonly credentialKey: Buffer
  readonly pool?: {
    /** Most connections at the same time; 8 unless given. */
    readonly connections?: number
    /** How long a statement may take, in milliseconds; 10,000 unless given. */
    readonly statementMs?: number
  }
  readonly logger: Logger
  readonly metrics: Metrics
}

/**
 * A registry in MariaDB 10.6 or newer that any number of processes share. A call that gets no answer rejects with
 * `registry_unavailable` after 4 s without a connection, or 10 s without an answer to a statement; connections come back
 * by themselves. With a signal the start waits until the server answers and takes the login; without one it rejects with
 * `registry_unavailable`, or `registry_refused` (login, rights, unknown database). Other errors: `setting_invalid` (the
 * URL), `data_newer`, `credential_key_mismatch`, `closed`.
 */
export function openMariadbRegistry(options: MariadbRegistryOptions): Promise<Registry> {
  return openWith(options, openSqlRegistry)
}

/** The same database as tables, for moving a registry into it. Errors: those of {@link openMariadbRegistry}. */
export function openMariadbTables(options: MariadbRegistryOptions): Promise<RegistryTables> {
  return openWith(options, openSqlTables)
}

async function openWith<T>(
  options: MariadbRegistryOptions,
  openOn: (options: SqlRegistryOptions) => Promise<T>,
): Promise<T> {
  const { url, credentialKey, logger, metrics, signal, onWaiting } = options
  const configure = () => poolConfig(typeof url === 'string' ? url : url(), options.pool, options.ca?.())
  const pool = new MariadbPool(configure, logger)
  const dialect = mariadbDialect({ pool, metrics: new MariadbMetrics(pool, logger, metrics) })
  const db = new Kysely<RegistrySchema>({ dialect })
  const attempt = async () => {
    try {
      await warnOfWeakDurability(db, logger)
      return await openOn({ db, flavour: mariadbFlavour, credentialKey, logger, metrics })
    } catch (error) {
      throw mariadbError(error)
    }
  }
  try {
    if (signal === undefined) return await attempt()
    const alsoWaitFor = ['registry_refused'] as const
    return await untilReached(attempt, { what: 'the registry on MariaDB', signal, onWaiting, alsoWaitFor, logger })
  } catch (error) {
    await db.destroy()
    throw error
  }
}

const CONNECT_TIMEOUT_MS = 2_000
/** Longer than a connection takes, so that callers ride out a restart of the server on this machine. */
const ACQUIRE_TIMEOUT_MS = 4_000
/** A statement that gets no answer for so long is given up with its connection. A migration that takes longer needs more. */
const STATEMENT_MS = 10_000
/** Shorter than a statement may take, so that a lock wait ends as one. */
const LOCK_WAIT_S = 3
/** The registry does work in milliseconds: more connections would only wait for the same rows. */
const CONNECTIONS = 8
/** Kept when idle; the look for changes every second uses them in turn, well within the socket's timeout. */
const IDLE_CONNECTIONS = 2
/** The pool tries again every 500 ms for this long before it slows down to every 10 s. */
const KEEP_TRYING_MS = 10 * 365 * 86_400_000

/** Error: `setting_invalid`, which never shows the URL. */
function poolConfig(text: string, pool: MariadbRegistryOptions['pool'], ca: string | undefined): PoolConfig {
  const fail = (reason: string): never => {
    throw new SluiceError('setting_invalid', `MARIADB_URL: ${reason}`)
  }
  const url = URL.parse(text) ?? fail('is not mariadb://user:password@host:port/database')
  if (url.protocol !== 'mariadb:' && url.protocol !== 'mysql:') fail('does not begin with mariadb://')
  const database = decodeURIComponent(url.pathname.slice(1))
  if (url.hostname === '' || database === '') fail('has no host or no database')
  const unknown = [...url.searchParams.keys()].filter((name) => name !== 'ssl')
  if (unknown.length > 0) fail(`has unknown parameters: ${unknown.join(', ')}`)
  const isTls = url.searchParams.get('ssl') === 'true'
  if (ca !== undefined && !isTls) fail('has no ssl=true, and MARIADB_CA_FILE is set')
  const socketTimeout = pool?.statementMs ?? STATEMENT_MS
  const host = url.hostname.replace(/^\[|\]$/g, '')
  // The host is what the certificate has to be of; by itself the connector takes an IP address for localhost.
  const trusting = { ca, host, rejectUnauthorized: true }
  return {
    host,
    port: url.port === '' ? 3306 : Number(url.port),
    user: decodeURIComponent(url.username),
    password: decodeURIComponent(url.password),
    database,
    ssl: ca === undefined ? isTls : trusting,
    connectTimeout: CONNECT_TIMEOUT_MS,
    socketTimeout,
    acquireTimeout: ACQUIRE_TIMEOUT_MS,
    initializationTimeout: KEEP_TRYING_MS,
    connectionLimit: pool?.connections ?? CONNECTIONS,
    minimumIdle: IDLE_CONNECTIONS,
    // The socket's timeout also ends idle connections, and less politely.
    idleTimeout: socketTimeout / 2000,
    collation: 'UTF8MB4_BIN',
    sessionVariables: { innodb_lock_wait_timeout: LOCK_WAIT_S, sql_mode: 'TRADITIONAL' },
    // A count of rows is of those that changed: an insert that found its key counts none.
    foundRows: false,
    bigIntAsNumber: true,
    insertIdAsNumber: true,
    checkNumberRange: true,
    autoJsonMap: false,
  }
}

/** Every change is durable when its promise resolves, unless the server was told otherwise. */
async function warnOfWeakDurability(db: Kysely<RegistrySchema>, logger: Logger): Promise<void> {
  const { rows } = await sql<{ flush: number }>`select @@innodb_flush_log_at_trx_commit as flush`.execute(db)
  if (rows[0]?.flush === 1) return
  logger.warn('innodb_flush_log_at_trx_commit is not 1: a power failure may lose devices and logins already confirmed')
}

/** The flavour of MariaDB; a registry opens with it through {@link openMariadbRegistry}. */
export const mariadbFlavour: SqlFlavour = {
  isShared: true,
  longText: sql`longtext`,
  // A key has room for 3,072 bytes, and counts four for each character of a text.
  longestName: sql`varbinary(1024)`,
  tableOptions: sql`engine = InnoDB default charset = utf8mb4 collate = utf8mb4_nopad_bin`,
  // UTC: an hour that the local time has twice is two hours here.
  nowMs: sql<number>`timestampdiff(microsecond, '1970-01-01', utc_timestamp(3)) div 1000`,
  insertIfAbsent(insert) {
    // Not INSERT IGNORE, which also takes values that do not fit.
    const column = insert.toOperationNode().columns?.[0]
    if (column === undefined) throw new Error('an insert names its columns')
    const name = sql.ref(column.column.name)
    return insert.modifyEnd(sql`on duplicate key update ${name} = ${name}`)
  },
  writeState: writeStateRows,
  isDuplicate,
  isConflict,
  toSluiceError: mariadbError,
}

/** Text of one statement, in UTF-16 units: 6 MB at most, well below the server's default of max_allowed_packet, 16 MB. */
const MAX_STATEMENT_UNITS = 2 * 1024 * 1024
const IS_LATER = 'values(log_id) <> log_id or values(log_partition) <> log_partition or values(log_offset) > log_offset'
/**
 * Assignments take effect one after the other, so the guard sees what those before it assigned: the position comes last.
 * Of the position the offset comes first, for the same partition never makes a row later; a row that is not later has the
 * same log and partition, so that these need no guard.
 */
const KEEP_LATER = `on duplicate key update
  fields = if(${IS_LATER}, values(fields), fields),
  last_seen_ms = if(${IS_LATER}, values(last_seen_ms), last_seen_ms),
  kept = if(${IS_LATER}, values(kept), kept),
  clock = if(${IS_LATER}, values(clock), clock),
  first_json = if(${IS_LATER}, values(first_json), first_json),
  log_offset = if(${IS_LATER}, values(log_offset), log_offset),
  log_partition = values(log_partition),
  log_id = values(log_id)`

async function writeStateRows(db: Kysely<RegistrySchema>, rows: readonly StateRow[]): Promise<void> {
  const place = `(${STATE_COLUMNS.map(() => '?').join(', ')})`
  for (const part of statementsOf(rows)) {
    // Written by hand: for a thousand rows building and compiling a kysely tree costs more than the statement itself.
    const places = Array.from(part, () => place).join(', ')
    const text = `insert into device_state (${STATE_COLUMNS.join(', ')}) values ${places} ${KEEP_LATER}`
    const values = part.flatMap((row) => STATE_COLUMNS.map((column) => row[column]))
    await db.executeQuery(CompiledQuery.raw(text, values))
  }
}

function unitsOf({ fields, kept, clock, first_json: firstJson }: StateRow): number {
  return fields.length + (kept?.length ?? 0) + (clock?.length ?? 0) + (firstJson?.length ?? 0)
}

/** Rows in the order given, cut where a statement would become too long; a row that is too long alone stands alone. */
function* statementsOf(rows: readonly StateRow[]): Generator<readonly StateRow[]> {
  let from = 0
  let units = 0
  for (const [index, row] of rows.entries()) {
    units += unitsOf(row)
    if (units <= MAX_STATEMENT_UNITS || index === from) continue
    yield rows.slice(from, index)
    from = index
    units = unitsOf(row)
  }
  if (from < rows.length) yield rows.slice(from)
}
