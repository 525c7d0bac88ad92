import { copyFileSync, existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { SluiceError } from '../../errors.ts'
import { DATABASE_SUFFIXES } from '../../storage/damaged.ts'
import { syncFile, syncFolder } from '../../storage/folders.ts'
import { rowsOfPage } from '../../storage/table-pages.ts'
import { frameEnd, readWal } from '../../storage/wal.ts'
import { int, one } from './row.ts'

/** Of a database that was made with SQLite's default. */
const PAGE_BYTES = 4096

/**
 * Makes `{file}.new`: the database as it was when its `synced` row was counted up to `syncs`, which is the last time
 * that the disk was sure to have all of it. Later frames of the WAL are left out. The file may still be open.
 */
export function prepareRewind(file: string, syncs: number): void {
  if (existsSync(`${file}.new`)) return
  const part = `${file}.part`
  removeDatabase(part)
  copyFileSync(file, part)
  if (existsSync(`${file}-wal`))
    writeFileSync(`${part}-wal`, readFileSync(`${file}-wal`).subarray(0, sureBytes(file, syncs)))
  const db = new DatabaseSync(part)
  try {
    db.exec('PRAGMA locking_mode = EXCLUSIVE; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0')
    const found = int(one(db.prepare('SELECT count FROM synced')), 'count')
    if (found !== syncs)
      throw new SluiceError('store_corrupt', `${file} is at sync ${found}, the last good one was ${syncs}`)
    db.exec('PRAGMA wal_checkpoint(TRUNCATE)')
  } finally {
    db.close()
  }
  syncFile(part)
  renameSync(part, `${file}.new`)
  syncFolder(dirname(file))
}

/** Puts what {@link prepareRewind} made in the place of the database, if it made something. */
export function endRewind(file: string): void {
  if (!existsSync(`${file}.new`)) return
  for (const suffix of ['-wal', '-journal']) rmSync(`${file}${suffix}`, { force: true })
  renameSync(`${file}.new`, file)
  syncFolder(dirname(file))
}

/** Bytes of the WAL up to the end of the transaction that counted the last good sync; none when it is in the database. */
function sureBytes(file: string, syncs: number): number {
  const frames = readWal(`${file}-wal`, PAGE_BYTES)?.frames ?? []
  const counted = frames.findIndex(({ bytes }) => {
    const [row, ...others] = rowsOfPage(bytes)
    return others.length === 0 && row?.values.length === 4 && row.values[1] === syncs
  })
  if (counted < 0) return 0
  return frameEnd(
    frames.findIndex(({ pages }, i) => i >= counted && pages > 0),
    PAGE_BYTES,
  )
}

function removeDatabase(file: string): void {
  for (const suffix of DATABASE_SUFFIXES) rmSync(`${file}${suffix}`, { force: true })
}
