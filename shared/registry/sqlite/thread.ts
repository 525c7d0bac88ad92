import { DatabaseSync, type StatementSync } from 'node:sqlite'
import { parentPort, workerData } from 'node:worker_threads'
import { LruMap } from '../../lru.ts'
import type { SqliteAnswer, SqliteFailure, SqliteQuery, SqliteRequest } from './messages.ts'

/** The thread that owns the registry's database: runs one statement after the other, in the order they come. */

/** The registry has a few dozen statements; bulk inserts add one per number of rows. */
const MAX_STATEMENTS = 100

const port = parentPort
if (port === null) throw new Error('runs as a worker thread')
const { file } = workerData as { file: string } // set by SqliteConnection

const answer = (message: SqliteAnswer): void => port.postMessage(message)

let database: DatabaseSync | undefined
try {
  database = open(file)
  answer({ id: 0, rows: [], changes: 0 })
  serve(database)
} catch (error) {
  database?.close()
  answer({ id: 0, failure: describe(error) })
}

function open(path: string): DatabaseSync {
  const db = new DatabaseSync(path)
  try {
    // The lock is SQLite's own, taken now and held until the process ends: a second process fails here.
    db.exec('PRAGMA locking_mode = EXCLUSIVE')
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

function serve(db: DatabaseSync): void {
  const statements = new LruMap<string, StatementSync>(MAX_STATEMENTS)
  port?.on('message', (request: SqliteRequest) => {
    if (request === 'close') {
      db.close()
      port?.close()
      return
    }
    try {
      answer({ id: request.id, ...run(db, statements, request) })
    } catch (error) {
      answer({ id: request.id, failure: describe(error) })
    }
  })
}

function run(
  db: DatabaseSync,
  statements: LruMap<string, StatementSync>,
  { sql, parameters }: SqliteQuery,
): { rows: readonly unknown[]; changes: number } {
  let statement = statements.get(sql)
  if (statement === undefined) {
    statement = db.prepare(sql)
    statements.set(sql, statement)
  }
  if (statement.columns().length > 0) return { rows: statement.all(...parameters), changes: 0 }
  return { rows: [], changes: Number(statement.run(...parameters).changes) }
}

function describe(error: unknown): SqliteFailure {
  if (!(error instanceof Error)) return { message: String(error), resultCode: undefined }
  const resultCode = 'errcode' in error && typeof error.errcode === 'number' ? error.errcode : undefined
  return { message: error.message, resultCode }
}
