import { cpSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { describe, expect, it } from 'vitest'
import { tempFolder } from '../helpers.ts'
import { everySecond, seriesOf, streamOf, valuesOf } from './points-harness.ts'
import { openEmbedded } from './points-sqlite-harness.ts'

describe('a crash between two steps', () => {
  const series = seriesOf('integer')
  const values = Array.from({ length: 3000 }, (_, i) => i)

  /** A store with everything unsealed, and a copy of it in which all is sealed. */
  async function beforeAndAfter(
    prepare: (folder: string) => Promise<void>,
  ): Promise<{ before: string; after: string }> {
    const [before, after] = [join(tempFolder(), 'before'), join(tempFolder(), 'after')]
    await prepare(before)
    cpSync(before, after, { recursive: true })
    const { store, sealed } = await openEmbedded(after, { sealAfterMs: 0 })
    await sealed()
    await store.close()
    return { before, after }
  }

  /** Chunks written, batches not deleted yet. */
  function between({ before, after }: { before: string; after: string }): string {
    const folder = join(tempFolder(), 'between')
    mkdirSync(folder)
    cpSync(join(before, 'raw.db'), join(folder, 'raw.db'))
    cpSync(join(after, 'chunks'), join(folder, 'chunks'), { recursive: true })
    return folder
  }

  it('of sealing repeats it without harm', async () => {
    const folder = between(
      await beforeAndAfter(async (before) => {
        const { store } = await openEmbedded(before)
        await store.write(everySecond(series, values))
        await store.write(everySecond(series, values.map((value) => -value).slice(0, 10)))
        await store.close()
      }),
    )
    const expected = values.map((value) => (value < 10 ? 0 - value : value))
    for (const options of [{}, { sealAfterPoints: 1 }, {}]) {
      const { store, sealed } = await openEmbedded(folder, options)
      expect(await valuesOf(store, series)).toEqual(expected)
      if ('sealAfterPoints' in options) await sealed()
      expect(await valuesOf(store, series)).toEqual(expected)
      const sum = { ...streamOf(series), limit: 1, aggregate: { function: 'sum' as const } }
      expect((await store.query(sum)).series[0]?.values).toEqual([expected.reduce((total, value) => total + value, 0)])
      await store.close()
    }
  })

  it('of sealing keeps a delete and what was written after it in their order', async () => {
    const folder = between(
      await beforeAndAfter(async (before) => {
        const { store } = await openEmbedded(before)
        await store.write(everySecond(series, values, 0))
        await store.delete({ tenant: 'acme', from: { ms: 1_000_000, ns: 0 } })
        await store.write(everySecond(series, [-1, -2], 1_500_000))
        await store.close()
      }),
    )
    for (let round = 0; round < 2; round++) {
      const { store, sealed } = await openEmbedded(folder, { sealAfterMs: 0 })
      await sealed()
      expect(await valuesOf(store, series)).toEqual([...values.slice(0, 1000), -1, -2])
      await store.close()
    }
  })

  it('of a delete finishes it when the store is opened, before anything newer is sealed', async () => {
    const [sealedFolder, folder] = [join(tempFolder(), 'sealed'), join(tempFolder(), 'points')]
    const { store, sealed } = await openEmbedded(sealedFolder, { sealAfterMs: 0 })
    await store.write(everySecond(series, values, 0))
    await sealed()
    await store.close()
    cpSync(sealedFolder, folder, { recursive: true })
    // As the delete leaves it when it dies behind its first commit, with a later write.
    const database = new DatabaseSync(join(folder, 'raw.db'))
    database
      .prepare('INSERT INTO erasure (seq, range) VALUES (1, ?)')
      .run('{"tenant":"acme","to":{"ms":2500000,"ns":0}}')
    database.close()
    const again = await openEmbedded(folder, { sealAfterMs: 0 })
    expect(await valuesOf(again.store, series)).toEqual(values.slice(2500))
    await again.store.write(everySecond(series, [7], 0))
    await again.sealed()
    await again.store.close()
    expect(await valuesOf((await openEmbedded(folder)).store, series)).toEqual([7, ...values.slice(2500)])
  })
})
