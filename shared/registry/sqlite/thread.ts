import { DatabaseSync, type StatementSync } from 'node:sqlite'
import { parentPort, workerData } from 'node:worker_threads'
import { LruMap } from '../../lru.ts'
import { resultCodeOf } from '../../storage/storage-fault.ts'
import type { FromThread, SqliteFailure, SqliteQuery, SqliteResult, ToThread } from './messages.ts'

/** The thread that owns the registry's database: runs one statement after the other, in the order they come. */

/** The registry has a few dozen statements; bulk inserts add one per number of rows. */
const MAX_STATEMENTS = 100

const port = parentPort
if (port === null) throw new Error('runs as a worker thread')
const { file } = workerData as { file: string } // set by SqliteConnection

const send = (message: FromThread): void => port.postMessage(message)

let database: DatabaseSync | undefined
try {
  database = open(file)
  serve(database)
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
  port?.on('message', ({ id, question, ask }: ToThread) => {
    try {
      const answer = question === 'close' ? db.close() : run(db, statements, ask)
      send({ kind: 'answer', id, answer })
    } catch (error) {
      send({ kind: 'failure', id, failure: describe(error) })
    }
    if (question === 'close') port?.close()
  })
}

function run(
  db: DatabaseSync,
  statements: LruMap<string, StatementSync>,
  { sql, parameters }: SqliteQuery,
): SqliteResult {
  let statement = statements.get(sql)
  if (statement === undefined) {
    statement = db.prepare(sql)
    statements.set(sql, statement)
  }
  if (statement.columns().length > 0) return { rows: statement.all(...parameters), changes: 0 }
  return { rows: [], changes: Number(statement.run(...parameters).changes) }
}

function describe(error: unknown): SqliteFailure {
  return { message: error instanceof Error ? error.message : String(error), resultCode: resultCodeOf(error) }
}
