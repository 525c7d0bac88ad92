import { existsSync, rmSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { sizeOf } from './folders.ts'

/** Which format a store has, and which one this version writes; both count from 1. */
export interface StoreFormat {
  /** Undefined where there is no store yet, or none that says so. */
  readonly found: number | undefined
  readonly current: number
}

/** Asks a database that nobody has open, and changes nothing. Throws what SQLite says. */
export function formatOf(file: string, current: number, ask: (db: DatabaseSync) => number = userVersion): StoreFormat {
  if (sizeOf(file) === 0) return { found: undefined, current }
  const index = `${file}-shm`
  const hadIndex = existsSync(index)
  const db = new DatabaseSync(file, { readOnly: true, timeout: 0 })
  try {
    const found = ask(db)
    return { found: found === 0 ? undefined : found, current }
  } finally {
    db.close()
    // SQLite leaves the index of the WAL where it may not write. Its owner works without one: the lock is exclusive.
    if (!hadIndex) rmSync(index, { force: true })
  }
}

function userVersion(db: DatabaseSync): number {
  return Number(db.prepare('PRAGMA user_version').get()?.['user_version'])
}
