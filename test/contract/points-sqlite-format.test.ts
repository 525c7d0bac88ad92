import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { describe, expect, it } from 'vitest'
import { tempFolder } from '../helpers.ts'
import { allPages, everySecond, seriesOf, streamOf, valuesOf } from './points-harness.ts'
import { openEmbedded } from './points-sqlite-harness.ts'

/** Takes the series back to what they were when a field had one type. */
function toFormat1(file: string): void {
  const database = new DatabaseSync(file)
  database.exec(`
    ALTER TABLE series RENAME TO series_2;
    CREATE TABLE series (
      id INTEGER PRIMARY KEY, tenant INTEGER NOT NULL, device TEXT NOT NULL, stream TEXT NOT NULL,
      field TEXT NOT NULL, type INTEGER NOT NULL, hidden INTEGER NOT NULL DEFAULT 0,
      UNIQUE (tenant, device, stream, field));
    INSERT INTO series SELECT * FROM series_2;
    DROP TABLE series_2;
    PRAGMA user_version = 1`)
  database.close()
}

describe('the folder of the embedded points', () => {
  it('of a version in which a field had one type is opened, keeps its points, and takes other kinds', async () => {
    const folder = tempFolder()
    const { store, sealed } = await openEmbedded(folder, { sealAfterPoints: 3 })
    const [number, text] = [seriesOf('float', { field: 'n' }), seriesOf('string', { field: 's' })]
    await store.write(everySecond(number, [1, 2, 3]))
    await sealed()
    await store.write(everySecond(text, ['a', 'b']))
    const before = await allPages(store, { ...streamOf(number), limit: 10 })
    await store.close()
    toFormat1(join(folder, 'raw.db'))

    const again = (await openEmbedded(folder)).store
    expect(await allPages(again, { ...streamOf(number), limit: 10 })).toEqual(before)
    expect(await again.write(everySecond({ ...number, type: 'string' }, ['x']))).toEqual([])
    expect(await valuesOf(again, number)).toEqual(['x', 1, 2, 3])
    await again.close()
  })
})
