import { dirname } from 'node:path'
import { DatabaseSync, type StatementSync } from 'node:sqlite'
import { parentPort, workerData } from 'node:worker_threads'
import { SluiceError } from '../../errors.ts'
import { LruMap } from '../../lru.ts'
import { walPagesFor } from '../../storage/disk-reserve.ts'
import { PageSums } from '../../storage/page-sums.ts'
import { hasNoSpace } from '../../storage/space-probe.ts'
import { resultCodeOf, storageFault } from '../../storage/storage-fault.ts'
import { isSyncError, isWriteError } from '../../storage/sync-error.ts'
import { rewrite } from '../../storage/wal.ts'
import {
  COMMIT,
  ROLLBACK,
  type FromThread,
  type SqliteFailure,
  type SqliteQuery,
  type SqliteResult,
  type ToThread,
} from './messages.ts'

/**
 * The thread that owns the registry's database: runs one statement after the other, in the order they come. Once a write or
 * a sync has failed for another reason than room it runs none any more: what the disk holds of the last transaction shows
 * at the next start.
 */

/** The registry has a few dozen statements; bulk inserts add one per number of rows. */
const MAX_STATEMENTS = 100

/** The WAL is moved into the database from this length on, on a small disk earlier. */
const MAX_WAL_BYTES = 4 * 1024 * 1024

const port = parentPort
if (port === null) throw new Error('runs as a worker thread')
const { file } = workerData as { file: string } // set by SqliteConnection

const send = (message: FromThread): void => port.postMessage(message)

let database: DatabaseSync | undefined
try {
  const sums = PageSums.check(file)
  database = open(file)
  sums.keep(database, walPagesFor(dirname(file), MAX_WAL_BYTES))
  serve(database, sums)
  send({ kind: 'opened', opened: undefined })
} catch (error) {
  database?.close()
  send({ kind: 'unopened', failure: describe(error) })
}

function open(path: string): DatabaseSync {
  const db = new DatabaseSync(path)
  try {
    // The lock is SQLite's own, taken now and held until the process ends: a second process fails here.
    db.exec('PRAGMA locking_mode = EXCLUSIVE')
    db.prepare('PRAGMA user_version').get()
    // What the kernel shows of it may not be on the disk, after a sync that failed in an earlier process.
    rewrite(`${path}-wal`)
    db.exec('PRAGMA journal_mode = WAL')
    // A created device, a removed login and the state behind committed offsets must survive a power cut.
    db.exec('PRAGMA synchronous = FULL')
    db.exec('PRAGMA fullfsync = ON')
    db.exec('BEGIN IMMEDIATE; COMMIT')
    return db
  } catch (error) {
    db.close()
    throw error
  }
}

function serve(db: DatabaseSync, sums: PageSums): void {
  const statements = new LruMap<string, StatementSync>(MAX_STATEMENTS)
  let failure: SqliteFailure | undefined
  port?.on('message', ({ id, question, ask }: ToThread) => {
    try {
      if (question === 'close') send({ kind: 'answer', id, answer: close(db, sums, failure) })
      else if (failure !== undefined) send({ kind: 'failure', id, failure })
      else {
        const answer = run(db, statements, ask)
        send({ kind: 'answer', id, answer })
        if (!db.isTransaction && (answer.changes > 0 || ask.sql === COMMIT)) failure = checkpoint(sums)
      }
    } catch (error) {
      const described = describe(error)
      if (described.code === 'storage_failed') failure = described
      send({ kind: 'failure', id, failure: described })
    }
    if (question === 'close') port?.close()
  })
}

/** The change before it is stored, whatever becomes of this. */
function checkpoint(sums: PageSums): SqliteFailure | undefined {
  try {
    sums.checkpointIfDue()
    return undefined
  } catch (error) {
    return { ...describe(error), code: 'storage_failed' }
  }
}

/** After a failure the WAL is moved into the database without its sums. */
function close(db: DatabaseSync, sums: PageSums, failure: SqliteFailure | undefined): void {
  if (failure === undefined) return sums.close()
  sums.forget()
  db.close()
}

function run(
  db: DatabaseSync,
  statements: LruMap<string, StatementSync>,
  { sql, parameters }: SqliteQuery,
): SqliteResult {
  // A full disk and other errors have ended it already: saying so would hide the first error.
  if (sql === ROLLBACK && !db.isTransaction) return { rows: [], changes: 0 }
  let statement = statements.get(sql)
  if (statement === undefined) {
    statement = db.prepare(sql)
    statements.set(sql, statement)
  }
  if (statement.columns().length > 0) return { rows: statement.all(...parameters), changes: 0 }
  return { rows: [], changes: Number(statement.run(...parameters).changes) }
}

function describe(error: unknown): SqliteFailure {
  const message = error instanceof Error ? error.message : String(error)
  const isDamage = error instanceof SluiceError && error.code === 'data_corrupt'
  return { message, resultCode: resultCodeOf(error), code: isDamage ? 'data_corrupt' : codeOf(error) }
}

/** A write that found no room has changed nothing; after a sync that failed nobody knows, whatever the reason. */
function codeOf(error: unknown): SqliteFailure['code'] {
  if (!isWriteError(error)) return codeOfSystem(error)
  return !isSyncError(error) && hasNoSpace(dirname(file)) ? 'disk_full' : 'storage_failed'
}

/** Of what is done to the files without SQLite. */
function codeOfSystem(error: unknown): SqliteFailure['code'] {
  if (resultCodeOf(error) !== undefined) return undefined
  if (storageFault(error) === 'disk_full') return 'disk_full'
  return error instanceof Error && 'code' in error && error.code === 'EIO' ? 'storage_failed' : undefined
}
