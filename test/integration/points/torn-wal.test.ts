import { cpSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { openEmbedded, type Embedded } from '../../contract/points-sqlite-harness.ts'
import { randomFrom } from '../../../load-tests/hostile/mutations.ts'
import type { PointStore } from '../../../shared/points/port.ts'
import { verifyPoints } from '../../../shared/points/sqlite/verify.ts'
import { tempFolder } from '../../helpers.ts'
import { lasting } from '../../long.ts'

const SECTOR_BYTES = 512
const TEXTS = { tenant: 'acme', device: 'pump-1', stream: 'texts' }

/** What is written between two syncs: the lengths of texts. */
type Round = readonly number[]

const roundOf = fc.array(fc.integer({ min: 1, max: 9000 }), { minLength: 1, maxLength: 5 })
const rounds = fc.array(roundOf, { minLength: 2, maxLength: 5 })

async function writeAll(store: PointStore, lengths: Round, from: number): Promise<void> {
  for (const [i, length] of lengths.entries()) {
    const series = [{ ...TEXTS, field: 'text', type: 'string' as const }]
    await store.write({ series, ms: [from + i], ns: [0], values: [String((from + i) % 10).repeat(length)] })
  }
}

interface Written {
  /** As a process that was killed leaves it; the last round was not synced, or its sync was never answered. */
  readonly folder: string
  /** End of what the last sync that was answered covered. */
  readonly syncedBytes: number
  readonly syncedTexts: number
}

async function written(all: readonly Round[], isSyncUnderWay: boolean): Promise<Written> {
  const [folder, copy] = [join(tempFolder(), 'points'), join(tempFolder(), 'killed')]
  const { store } = await openEmbedded(folder, { sealAfterPoints: 1_000_000 })
  const synced = all.slice(0, -1)
  let texts = 0
  for (const round of synced) {
    await writeAll(store, round, texts)
    await store.sync()
    texts += round.length
  }
  const syncedBytes = statSync(join(folder, 'raw.db-wal')).size
  await writeAll(store, all.at(-1) ?? [], texts)
  if (isSyncUnderWay) await store.sync()
  cpSync(folder, copy, { recursive: true })
  await store.close()
  return { folder: copy, syncedBytes, syncedTexts: texts }
}

/** Any sectors behind a place are as they were before they were written. */
function tear(file: string, from: number, seed: number): void {
  const random = randomFrom(seed)
  const bytes = readFileSync(file)
  for (let at = from; at < bytes.length;) {
    const end = Math.min(at - (at % SECTOR_BYTES) + SECTOR_BYTES, bytes.length)
    if (random() < 0.4) bytes.fill(0, at, end)
    at = end
  }
  writeFileSync(file, bytes)
}

async function textsOf({ store }: Embedded): Promise<number> {
  return (await store.query({ ...TEXTS, limit: 10_000 })).series[0]?.times.length ?? 0
}

describe('the WAL of the hot points after a power cut', () => {
  it('torn behind the last sync: nothing is called damaged or lost, and what was synced is there', async () => {
    await fc.assert(
      fc.asyncProperty(rounds, fc.boolean(), fc.nat(), async (all, isSyncUnderWay, seed) => {
        const { folder, syncedBytes, syncedTexts } = await written(all, isSyncUnderWay)
        tear(join(folder, 'raw.db-wal'), syncedBytes, seed)
        expect([...verifyPoints(folder)].flatMap(({ flaws }) => flaws)).toEqual([])
        const opened = await openEmbedded(folder)
        expect(await textsOf(opened)).toBeGreaterThanOrEqual(syncedTexts)
        expect(await opened.metric('sluice_points_damaged_total')).toBe(0)
        await opened.store.close()
      }),
      {
        numRuns: lasting({ gate: 8, long: 300 }),
        // Two sectors of equal words are gone, and the sums look as if one bit had flipped.
        examples: [[[[1, 1], [1], [1, 8097, 8097, 1]], false, 18]],
      },
    )
  })

  it('one flipped bit is told wherever it is, and so is any damage before a sync that was answered', async () => {
    await fc.assert(
      fc.asyncProperty(
        rounds,
        fc.boolean(),
        fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }),
        async (all, isBit, at) => {
          const { folder, syncedBytes } = await written(all, false)
          const file = join(folder, 'raw.db-wal')
          const bytes = readFileSync(file)
          // The file's own header apart, which every frame depends on.
          const place = 32 + Math.floor(at * ((isBit ? bytes.length : syncedBytes) - 32 - SECTOR_BYTES))
          if (isBit) bytes[place] = (bytes[place] ?? 0) ^ (1 << (place % 8))
          else bytes.fill(0xa5, place, place + 200)
          writeFileSync(file, bytes)
          const flaws = [...verifyPoints(folder)].flatMap((it) => it.flaws)
          const opened = await openEmbedded(folder)
          expect(await opened.metric('sluice_points_damaged_total')).toBeGreaterThan(0)
          expect(flaws.length).toBeGreaterThan(0)
          await opened.store.close()
        },
      ),
      { numRuns: lasting({ gate: 8, long: 300 }) },
    )
  })
})
