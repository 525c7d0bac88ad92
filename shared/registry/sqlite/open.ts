import { dirname } from 'node:path'
import { Kysely, sql } from 'kysely'
import { SluiceError, toSluiceError, type ErrorCode } from '../../errors.ts'
import type { Logger } from '../../process/logger.ts'
import type { Metrics } from '../../process/metrics.ts'
import { makeFolder, PRIVATE } from '../../storage/folders.ts'
import { ANY_ROOM, type Room } from '../../storage/room.ts'
import { faultOfResult } from '../../storage/storage-fault.ts'
import { STATE_COLUMNS, type SqlFlavour, type StateRow } from '../sql/sql-flavour.ts'
import type { Registry } from '../port.ts'
import type { RegistryTables } from '../tables-port.ts'
import type { RegistrySchema } from '../sql/schema.ts'
import type { SqlRegistryOptions } from '../sql/sql-options.ts'
import { openSqlRegistry } from '../sql/sql-registry.ts'
import { openSqlTables } from '../sql/sql-tables.ts'
import { SqliteConnection, SqliteError } from './connection.ts'
import { sqliteDialect } from './dialect.ts'

export interface SqliteRegistryOptions {
  /** Made, with its folder, when it does not exist. */
  readonly file: string
  /** 32 bytes; see `loadCredentialKey`. */
  readonly credentialKey: Buffer
  readonly logger: Logger
  readonly metrics: Metrics
  /**
   * Called once when a change could not be written or synced: nothing is answered any more but `storage_failed`, and the
   * process must end, so that the next one finds out what the disk holds.
   */
  readonly onStorageFailed?: (error: SluiceError) => void
  /** Nothing is made while there is none; what exists can be ended and removed. */
  readonly room?: Room
}

export interface SqliteRegistry extends Registry {
  /** Copies all of it, as of a moment between two changes, into a file that does not exist yet. Errors as of `Registry`. */
  snapshot(file: string): Promise<void>
}

/**
 * A registry in one SQLite file, in a thread of its own; every change is durable when its promise resolves. Errors:
 * `data_locked`, `data_newer`, `data_unwritable`, `data_corrupt`, `disk_full`, `storage_failed`, `credential_key_mismatch`.
 */
export function openSqliteRegistry(options: SqliteRegistryOptions): Promise<SqliteRegistry> {
  return openWith(options, async (opened) => {
    const registry = await openSqlRegistry(opened)
    return Object.assign(registry, { snapshot: (file: string) => copyInto(opened.db, file) })
  })
}

async function copyInto(db: Kysely<RegistrySchema>, file: string): Promise<void> {
  try {
    await sql`vacuum into ${file}`.execute(db)
  } catch (error) {
    throw named(file, error)
  }
}

/** The same file as tables, for moving it elsewhere. Errors: those of {@link openSqliteRegistry}. */
export function openSqliteTables(options: SqliteRegistryOptions): Promise<RegistryTables> {
  return openWith(options, openSqlTables)
}

async function openWith<T>(
  options: SqliteRegistryOptions,
  openOn: (options: SqlRegistryOptions) => Promise<T>,
): Promise<T> {
  const { file, credentialKey, logger, metrics, room = ANY_ROOM } = options
  const connection = await open(options)
  const db = new Kysely<RegistrySchema>({ dialect: sqliteDialect(connection, metrics) })
  try {
    return await openOn({ db, flavour: sqliteFlavour, credentialKey, logger, metrics, room })
  } catch (error) {
    await connection.close()
    throw named(file, error)
  }
}

async function open({
  file,
  logger,
  metrics,
  onStorageFailed,
  room,
}: SqliteRegistryOptions): Promise<SqliteConnection> {
  let isFailed = false
  const onError = (error: SqliteError): void => {
    const failure = named(file, error)
    if (failure.code === 'disk_full') room?.foundFull()
    if (failure.code !== 'storage_failed' || isFailed) return
    isFailed = true
    logger.fatal(
      { code: failure.code, reason: failure.message, result: error.resultCode },
      'the registry was not stored',
    )
    onStorageFailed?.(failure)
  }
  try {
    makeFolder(dirname(file), PRIVATE)
    return await SqliteConnection.open(file, metrics, onError)
  } catch (error) {
    // What the file system refuses, as against SQLite.
    if (error instanceof Error && 'syscall' in error) {
      throw new SluiceError('data_unwritable', error.message, { cause: error })
    }
    const { code, message } = named(file, error)
    throw code === 'registry_unavailable'
      ? new SluiceError('data_unwritable', message, { cause: error })
      : named(file, error)
  }
}

function named(file: string, error: unknown): SluiceError {
  const { code, message } = sqliteFlavour.toSluiceError(error)
  return new SluiceError(code, message.includes(file) ? message : `${file}: ${message}`, { cause: error })
}

const IO_ERROR = 10
const CONSTRAINT_PRIMARY_KEY = 1555
const CONSTRAINT_UNIQUE = 2067

export const sqliteFlavour: SqlFlavour = {
  isShared: false,
  longText: 'text',
  longestName: undefined,
  tableOptions: undefined,
  nowMs: sql<number>`cast(unixepoch('subsec') * 1000 as integer)`,
  insertIfAbsent: (insert) => insert.onConflict((conflict) => conflict.doNothing()),
  writeState: writeStateRows,
  isDuplicate(error) {
    const code = error instanceof SqliteError ? error.resultCode : undefined
    return code === CONSTRAINT_PRIMARY_KEY || code === CONSTRAINT_UNIQUE
  },
  // One connection, one writer.
  isConflict: () => false,
  toSluiceError(error) {
    if (!(error instanceof SqliteError)) return toSluiceError(error)
    const code = error.code ?? (error.resultCode === undefined ? 'internal' : codeOf(error.resultCode))
    return new SluiceError(code, error.message, { cause: error })
  },
}

/** Of a result code of SQLite; what is neither the files' fault nor the disk's is a defect of ours. */
function codeOf(resultCode: number): ErrorCode {
  if ((resultCode & 0xff) === IO_ERROR) return 'registry_unavailable'
  const fault = faultOfResult(resultCode)
  return fault === 'corrupt' ? 'data_corrupt' : (fault ?? 'internal')
}

/** The rows travel as one JSON text: eight parameters for each would cost the main thread more than all the rest. */
async function writeStateRows(db: Kysely<RegistrySchema>, rows: readonly StateRow[]): Promise<void> {
  const json = JSON.stringify(rows.map((row) => STATE_COLUMNS.map((column) => row[column])))
  await sql`
    insert into device_state (${sql.join(STATE_COLUMNS.map((column) => sql.ref(column)))})
    select ${sql.join(STATE_COLUMNS.map((_, index) => sql`value ->> ${sql.lit(`$[${index}]`)}`))}
    from json_each(${json}) where true order by key
    on conflict (tenant, device, stream) do update set
      fields = excluded.fields,
      last_seen_ms = excluded.last_seen_ms,
      log_id = excluded.log_id,
      log_partition = excluded.log_partition,
      log_offset = excluded.log_offset,
      kept = excluded.kept,
      clock = excluded.clock,
      first_json = excluded.first_json
    where excluded.log_id <> device_state.log_id or excluded.log_partition <> device_state.log_partition
      or excluded.log_offset > device_state.log_offset
  `.execute(db)
}
