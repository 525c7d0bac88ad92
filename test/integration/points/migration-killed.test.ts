import { createHash } from 'node:crypto'
import { copyFileSync, cpSync, existsSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync, type SQLInputValue } from 'node:sqlite'
import { describe, expect, it } from 'vitest'
import { overriding, withMethods } from '../../../load-tests/reference/overriding.ts'
import { prepareChunkFile } from '../../../shared/points/sqlite/chunk-schema.ts'
import { prepareHotFile } from '../../../shared/points/sqlite/hot-schema.ts'
import { allPages, type Found } from '../../contract/points-harness.ts'
import { openEmbedded } from '../../contract/points-sqlite-harness.ts'
import { unpack } from '../../e2e/upgrade/fixture.ts'
import { tempFolder } from '../../helpers.ts'

const HOT = 'raw.db'
const CHUNKS = join('chunks', '1', '2023-11.db')

type Prepare = (db: DatabaseSync, file: string) => void
const PREPARE: Readonly<Record<string, Prepare>> = { [HOT]: prepareHotFile, [CHUNKS]: prepareChunkFile }

/** How a migration goes about it; whole by default. */
type Change = (sql: string) => boolean
const whole: Change = () => true
const inParts: Change = (sql) => !/^(BEGIN|COMMIT)/.test(sql)

/**
 * What a process that is killed before and behind each statement of a migration leaves behind, each once: the folder with
 * what was in the file, and what SQLite had put beside it.
 */
function killedAtEachStatement(points: string, file: string, isDone: Change): string[] {
  const states = new Map<string, string>()
  const path = join(points, file)
  const keep = () => {
    const there = ['', '-wal', '-journal'].filter((suffix) => existsSync(`${path}${suffix}`))
    const hash = createHash('sha256')
    for (const suffix of there) hash.update(`${suffix} `).update(readFileSync(`${path}${suffix}`))
    const digest = hash.digest('hex')
    if (states.has(digest)) return
    const state = join(tempFolder(), 'points')
    cpSync(points, state, { recursive: true, filter: (name) => !name.startsWith(path) })
    for (const suffix of there) copyFileSync(`${path}${suffix}`, join(state, `${file}${suffix}`))
    states.set(digest, state)
  }
  const db = new DatabaseSync(path)
  try {
    const watched = overriding(db, {
      exec(statements) {
        for (const sql of statements.split(';').map((one) => one.trim())) {
          if (sql === '' || !isDone(sql)) continue
          keep()
          db.exec(sql)
        }
      },
      prepare(sql) {
        keep()
        const statement = db.prepare(sql)
        return withMethods(statement, {
          run(...values: SQLInputValue[]) {
            keep()
            return statement.run(...values)
          },
        })
      },
    })
    PREPARE[file]?.(watched, path)
    keep()
  } finally {
    db.close()
  }
  keep()
  return [...states.values()]
}

/** Every point, by device and stream. */
async function everything(points: string): Promise<Record<string, Found>> {
  const { store } = await openEmbedded(points)
  const found: Record<string, Found> = {}
  for (const { tenant, device } of await store.devices({ limit: 1000 })) {
    const streams = new Set((await store.series(tenant, device)).map(({ stream }) => stream))
    for (const stream of streams) {
      found[`${tenant}/${device}/${stream}`] = await allPages(store, { tenant, device, stream, limit: 10_000 })
    }
  }
  await store.close()
  return found
}

async function check(file: string, isDone: Change): Promise<number> {
  const expected = await everything(join(unpack('6a8afcf').folder, 'points'))
  expect(Object.values(expected).flat().length).toBeGreaterThan(1000)
  const points = join(unpack('6a8afcf').folder, 'points')
  const states = killedAtEachStatement(points, file, isDone)
  for (const state of states) {
    expect(await everything(state)).toEqual(expected)
    // Nor is anything taken for damaged.
    expect(
      readdirSync(state, { recursive: true, encoding: 'utf8' }).filter((name) => name.includes('.damaged')),
    ).toEqual([])
    rmSync(state, { recursive: true })
  }
  return states.length
}

describe.each([HOT, CHUNKS])('points of the version before, when the migration of %s was killed', (file) => {
  it('at any statement, are all there', { timeout: 120_000 }, async () => {
    expect(await check(file, whole)).toBeGreaterThan(1)
  })

  it('known-wrong: are not, when the migration is not whole or absent', { timeout: 120_000 }, async () => {
    await expect(check(file, inParts)).rejects.toThrow()
  })
})
