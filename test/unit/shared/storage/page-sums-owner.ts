import { DatabaseSync } from 'node:sqlite'
import { parentPort, workerData } from 'node:worker_threads'
import { PageSums } from '../../../../shared/storage/page-sums.ts'

/** A thread that owns a database with sums, and runs what it is told; how it ends is its starter's affair. */
const { file } = workerData as { file: string } // given by page-sums.test.ts
const sums = PageSums.check(file)
const db = new DatabaseSync(file)
db.exec('PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; BEGIN IMMEDIATE; COMMIT')
sums.keep(db, 1_000)
parentPort?.on('message', (sql: string) => {
  db.exec(sql)
  sums.checkpointIfDue()
  parentPort?.postMessage('done')
})
parentPort?.postMessage('open')
