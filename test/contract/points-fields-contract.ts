import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { MAX_FIELD_NAME_BYTES } from '../../shared/names.ts'
import { FIELD_TYPES, type FieldType, type PointValue } from '../../shared/telemetry.ts'
import { lasting } from '../long.ts'
import { allPages, batchOf, openStore, seriesOf, type MakePointsHarness } from './points-harness.ts'

const T = 1_700_000_000_000

const VALUES: Readonly<Record<FieldType, PointValue>> = { float: 1.5, integer: 2, boolean: true, string: 'x' }

/** What stores and their languages have a meaning for, and control characters of both blocks. */
const unit = fc.oneof(
  fc.integer({ min: 0, max: 0x9f }).map((code) => String.fromCharCode(code)),
  fc.constantFrom(...'\\"\'`,= \t\r\n\0\u0010\u001a\u001e\u001f\u007f\u0085:#/%${}[]*?+_.|'),
  fc.constantFrom('a', 'A', 'ü', 'u\u0308', '\u200b', '\u202e', '\ufeff', '😀', '_', 'time', '10', '1a', '\u001ffloat'),
)

const longest = (text: string): string => {
  let cut = ''
  for (const one of text) {
    if (Buffer.byteLength(cut + one) > MAX_FIELD_NAME_BYTES) break
    cut += one
  }
  return cut
}

const name = fc.oneof(
  fc.array(unit, { minLength: 1, maxLength: 6 }).map((units) => units.join('')),
  fc
    .tuple(fc.array(unit, { minLength: 1, maxLength: 6 }), fc.integer({ min: 1, max: MAX_FIELD_NAME_BYTES }))
    .map(([units, bytes]) => longest(units.join('').repeat(bytes).slice(0, bytes))),
)
const fields = fc.uniqueArray(
  name.filter((one) => one.isWellFormed() && one !== ''),
  { minLength: 20, maxLength: 40 },
)

export function describeFieldNames(storeName: string, make: MakePointsHarness): void {
  describe(`names of fields in ${storeName}`, { timeout: 600_000 }, () => {
    it('of 1 to 1,024 bytes, with any characters, come back as they were, and none is taken for another', async () => {
      const harness = await make()
      const store = await openStore(harness)
      let run = 0
      const property = fc.asyncProperty(fields, fc.constantFrom(...FIELD_TYPES), async (names, type) => {
        run += 1
        const device = { device: `pump-${run}`, stream: `of ${type}` }
        const all = [...names, 'x'.repeat(MAX_FIELD_NAME_BYTES), '\u0001'.repeat(MAX_FIELD_NAME_BYTES)]
        const points = all.map((field, i) => {
          return { series: seriesOf(type, { ...device, field }), ms: T + i, ns: 0, value: VALUES[type] }
        })
        expect(await store.write(batchOf(points))).toEqual([])
        await harness.rest()
        const query = { tenant: 'acme', ...device, limit: 10_000 }
        const found = (await allPages(store, query)).map(([field, { ms }]) => [field, ms - T])
        const order = [...new Set(all)].sort((a, b) => (a < b ? -1 : 1))
        expect(found).toEqual(order.map((field) => [field, all.indexOf(field)]))
        expect((await store.series('acme', device.device)).map(({ field }) => field)).toEqual(order)
        for (const field of all.slice(-4)) {
          const one = await allPages(store, { ...query, field })
          expect(one.map(([its, { ms }]) => [its, ms - T])).toEqual([[field, all.indexOf(field)]])
        }
      })
      await fc.assert(property, { numRuns: lasting({ gate: 5, long: 250 }), endOnFailure: true })
    })
  })
}
