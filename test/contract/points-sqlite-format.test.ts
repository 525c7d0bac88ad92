import { mkdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { inflateRawSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { tempFolder } from '../helpers.ts'
import { checkAnswers, MONTH, SERIES } from './points-filled-folder.ts'
import { everySecond, seriesOf } from './points-harness.ts'
import { openEmbedded } from './points-sqlite-harness.ts'

describe('a folder of format 1', () => {
  /** Written by the last version before checksums: `fill` of all points, of which one half is sealed. */
  function unpack(): string {
    const folder = join(tempFolder(), 'points')
    const files = JSON.parse(readFileSync(join(import.meta.dirname, 'points-format-1.json'), 'utf8')) as Record<
      string,
      string
    >
    for (const [name, packed] of Object.entries(files)) {
      mkdirSync(dirname(join(folder, name)), { recursive: true })
      writeFileSync(join(folder, name), inflateRawSync(Buffer.from(packed, 'base64')))
    }
    return folder
  }

  function versionOf(file: string): unknown {
    const db = new DatabaseSync(file)
    const version = db.prepare('PRAGMA user_version').get()?.['user_version']
    db.close()
    return version
  }

  it('opens as it is, takes other kinds, and is written on in a format that an older Sluice refuses', async () => {
    const folder = unpack()
    const first = await openEmbedded(folder)
    expect(await checkAnswers(first.store)).toBe(0)
    await first.store.close()
    expect(versionOf(join(folder, 'raw.db'))).toBe(4)
    const again = await openEmbedded(folder, { sealAfterMs: 0 })
    const text = seriesOf('string', { field: 'other' })
    await again.store.write(everySecond({ ...text, type: 'float' }, [1]))
    expect(await again.store.write(everySecond(text, ['x']))).toEqual([])
    await again.sealed()
    expect(await checkAnswers(again.store)).toBe(0)
    expect(await again.metric('sluice_points_damaged_total')).toBe(0)
    await again.store.close()
    expect(versionOf(join(folder, MONTH))).toBe(3)
    truncateSync(join(folder, MONTH), 0)
    const damaged = await openEmbedded(folder)
    expect(await damaged.metric('sluice_points_damaged_total')).toBe(1)
    expect(await checkAnswers(damaged.store)).toBe(SERIES.length * 3)
  })

  it('of which a chunk cannot be read says so', async () => {
    const folder = unpack()
    const file = join(folder, MONTH)
    const db = new DatabaseSync(file)
    db.exec("UPDATE chunk SET data = x'0201020304' WHERE id = 5")
    db.close()
    const { store, metric } = await openEmbedded(folder)
    expect(await checkAnswers(store)).toBe(3)
    expect(await metric('sluice_points_damaged_total')).toBe(1)
  })
})
