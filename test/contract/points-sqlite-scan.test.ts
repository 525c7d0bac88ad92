import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { lasting } from '../long.ts'
import { tempFolder } from '../helpers.ts'
import { rereadingScans } from '../variants/wrong-points.ts'
import { batchOf, everySecond, seriesOf } from './points-harness.ts'
import { checkScansBeside, type Change } from './points-scan-beside.ts'
import { AMPLE } from './points-scan-model.ts'
import { openEmbedded } from './points-sqlite-harness.ts'

const times = fc.uniqueArray(fc.nat(2999), { minLength: 1, maxLength: 25 }).map((some) => some.map((n) => n * 1000))
const device = fc.nat(5)
const change: fc.Arbitrary<Change> = fc.oneof(
  { weight: 12, arbitrary: fc.record({ kind: fc.constant('write' as const), device, old: fc.boolean(), times }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('delete' as const), device, old: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('keep' as const) }) },
)
const changes = fc.array(change, { minLength: 30, maxLength: 60 })

describe('scans of the embedded store', () => {
  it('beside writes, seals, deletes and retention are each of one moment', async () => {
    const run = async (some: readonly Change[], sealAfterPoints: number): Promise<void> => {
      const { store } = await openEmbedded(tempFolder(), { sealAfterPoints })
      await checkScansBeside(store, some)
      await store.close()
    }
    await fc.assert(fc.asyncProperty(changes, fc.constantFrom(40, 300, 1_000_000), run), {
      numRuns: lasting({ gate: 12, long: 200 }),
      interruptAfterTimeLimit: 60_000,
      markInterruptAsFailure: false,
    })
  })

  it('that read what is there anew on their way are seen', async () => {
    const [some] = fc.sample(fc.array(change, { minLength: 150, maxLength: 150 }), { numRuns: 1, seed: 3 })
    const { store } = await openEmbedded(tempFolder(), { sealAfterPoints: 300 })
    await expect(checkScansBeside(store, some ?? [], rereadingScans)).rejects.toThrow(/is none of/)
  })

  it('of which nobody takes any more keep no seal, delete or retention waiting, and then end with a cursor', async () => {
    const { store, sealed } = await openEmbedded(tempFolder(), { sealAfterPoints: 1 })
    const values = Array.from({ length: 600 }, (_, i) => `${i} `.padEnd(4000, '-'))
    const [first, second] = [seriesOf('string'), seriesOf('string', { device: 'pump-2' })]
    const old = Date.UTC(2001, 0)
    await store.write(everySecond(first, values, old))
    await store.write(everySecond(second, values))
    await sealed()
    const changed: Record<string, () => Promise<unknown>> = {
      seal: async () => {
        await store.write(batchOf([{ series: second, ms: 1_700_000_000_500, ns: 0, value: 'x' }]))
        await sealed()
      },
      retention: () => store.setRetention('acme', 10 * 365 * 86_400_000),
      delete: () => store.delete({ tenant: 'acme', device: 'pump-2' }),
    }
    for (const [what, change] of Object.entries(changed)) {
      const scan = store.scan({ tenant: 'acme', selector: {}, budget: AMPLE })
      expect((await scan.next()).value, what).toMatchObject({ kind: 'batch' })
      await change()
      const items = []
      for await (const item of scan) items.push(item)
      const end = items.at(-1)
      expect(end, what).toMatchObject({ kind: 'end', by: 'state' })
      expect(end?.kind === 'end' && end.next, what).toEqual(expect.any(String))
    }
  })

  it('wait for a reader, one at a time, and end with the store', async () => {
    const { store, metric } = await openEmbedded(tempFolder())
    await store.write(
      everySecond(
        seriesOf('float'),
        Array.from({ length: 5000 }, (_, i) => i),
      ),
    )
    const scan = { tenant: 'acme', selector: {}, budget: AMPLE }
    const first = Array.from({ length: 20 }, () => store.scan(scan).next())
    for (const { value } of await Promise.all(first)) expect(value).toMatchObject({ kind: 'batch' })
    expect(await metric('sluice_points_scan_steps_waiting')).toBe(0)
    const rest = store.scan(scan)
    await rest.next()
    await store.close()
    await expect(store.scan(scan).next()).rejects.toMatchObject({ code: 'closed' })
    await rest.return()
  })
})
