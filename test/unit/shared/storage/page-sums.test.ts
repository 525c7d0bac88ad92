import { once } from 'node:events'
import { cpSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { Worker } from 'node:worker_threads'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { PageSums } from '../../../../shared/storage/page-sums.ts'
import { tempFolder } from '../../../helpers.ts'

const OWNER = new URL('./page-sums-owner.ts', import.meta.url)
const TABLE = 'CREATE TABLE IF NOT EXISTS t (a TEXT)'

/** Runs the statements in a thread that ends with its database open: SQLite moves the WAL into it and deletes it. */
async function endedWhileOpen(file: string, ...statements: string[]): Promise<void> {
  const owner = new Worker(OWNER, { workerData: { file } })
  await once(owner, 'message')
  for (const sql of statements) {
    owner.postMessage(sql)
    await once(owner, 'message')
  }
  await owner.terminate()
}

const insert = (value: string, rows: number): string =>
  `INSERT INTO t WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${rows}) SELECT '${value}' || i FROM n`

function rowsOf(file: string): number {
  const db = new DatabaseSync(file, { readOnly: true })
  try {
    return Number(db.prepare('SELECT count(*) AS n FROM t').get()?.['n'])
  } finally {
    db.close()
  }
}

function copyOf(file: string): string {
  const copy = join(tempFolder(), 'copy')
  cpSync(dirname(file), copy, { recursive: true })
  return join(copy, 'some.db')
}

describe('a database whose process ended while it was open', () => {
  it('is believed: with what it got then, with more pages, and again and again', async () => {
    const file = join(tempFolder(), 'some.db')
    await endedWhileOpen(file, TABLE, insert('a', 10))
    for (let round = 1; round <= 3; round++) {
      expect(existsSync(`${file}-wal`)).toBe(false)
      expect(PageSums.compare(file).flaw).toBeUndefined()
      expect(rowsOf(copyOf(file))).toBe(10 + (round - 1) * 1_000)
      await endedWhileOpen(file, insert('b', 1_000))
    }
  })

  it('would be taken for damaged without the second name of its WAL', async () => {
    const file = join(tempFolder(), 'some.db')
    await endedWhileOpen(file, TABLE)
    await endedWhileOpen(file, insert('a', 10))
    rmSync(`${file}-wal-link`)
    expect(PageSums.compare(file).flaw).toMatch(/is not as it was written/)
  })

  it('has no bit that may flip without a word', async () => {
    const file = join(tempFolder(), 'some.db')
    await endedWhileOpen(file, TABLE, insert('a', 1_000))
    // Pages that the sums know, pages that the WAL wrote anew, and pages that came with it.
    await endedWhileOpen(file, insert('b', 1_000))
    const bytes = readFileSync(file)
    fc.assert(
      fc.property(fc.nat(bytes.length * 8 - 1), (bit) => {
        const copy = copyOf(file)
        const flipped = Buffer.from(bytes)
        const at = Math.floor(bit / 8)
        flipped[at] = (flipped[at] ?? 0) ^ (1 << (bit % 8))
        writeFileSync(copy, flipped)
        expect(PageSums.compare(copy).flaw).toMatch(/some\.db is damaged: page \d+ of \d+ is not as it was written/)
      }),
      { numRuns: 50 },
    )
  })
})
