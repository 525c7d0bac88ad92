import fc from 'fast-check'
import { expect, it } from 'vitest'
import { KeptValues, MAX_AT_ONE_TIME, type Sent } from '../../../../services/ingest-worker/kept-values.ts'

const T = 1_769_860_800_000
const PLACE = { log: 'l', partition: 0 }

/** Values of one field with one time: as many as come together, the first of them `mark`. */
interface Burst {
  readonly field: number
  readonly second: number
  readonly ns: number
  readonly mark: number
  readonly count: number
  readonly isDup: boolean
}

function valuesOf(bursts: readonly Burst[]): Sent[] {
  const all = bursts.flatMap(({ field, second, ns, mark, count, isDup }) =>
    Array.from({ length: count }, (_, i) => {
      return { field: `text ${field}`, ms: T + second * 1000, ns, mark: mark + i, isDup }
    }),
  )
  return all.map((value, point) => ({ point, ...value }))
}

const burst = fc.record({
  field: fc.integer({ min: 0, max: 15 }),
  second: fc.integer({ min: 0, max: 4 }),
  ns: fc.constantFrom(0, 0, 0, 1, 2),
  mark: fc.integer({ min: 0, max: 3 }),
  count: fc.oneof({ weight: 1, arbitrary: fc.constant(1) }, { weight: 1, arbitrary: fc.integer({ min: 2, max: 400 }) }),
  isDup: fc.boolean(),
})
const records = fc.array(fc.array(burst, { minLength: 1, maxLength: 3 }), { minLength: 1, maxLength: 60, size: 'max' })
/** Behind which record it ends, and how many records before that are read again. */
const ends = fc.array(fc.record({ behind: fc.nat(59), again: fc.nat(8) }), { maxLength: 5 })

it('what was written and read decides as if it had gone on, of records that are read again too, at every bound', () => {
  fc.assert(
    fc.property(records, ends, (all, lives) => {
      const straight = new KeptValues()
      const right = all.map((bursts, offset) => straight.decide(PLACE, offset, valuesOf(bursts)))
      let kept = new KeptValues()
      let committed = 0
      let next = 0
      const go = (to: number): void => {
        for (; next < to; next++) expect(kept.decide(PLACE, next, valuesOf(all[next] ?? []))).toEqual(right[next])
      }
      for (const { behind, again } of lives.toSorted((a, b) => a.behind - b.behind)) {
        go(Math.min(all.length, behind + 1))
        kept = KeptValues.read(kept.write({ ...PLACE, committed }))
        // What is committed is never read again.
        committed = Math.max(committed, next - again)
        next = committed
      }
      go(all.length)
    }),
    { numRuns: 100 },
  )
})

it('one time has 256 values, and what is remembered is bounded', () => {
  const kept = new KeptValues()
  const decide = (offset: number, bursts: readonly Partial<Burst>[]) => {
    const one = { field: 0, second: 0, ns: 0, mark: 0, count: 1, isDup: false }
    return kept.decide(PLACE, offset, valuesOf(bursts.map((given) => ({ ...one, ...given }))))
  }
  expect(decide(0, [{ count: 300 }]).slice(254)).toEqual([
    254,
    ...Array.from({ length: 45 }, () => MAX_AT_ONE_TIME - 1),
  ])
  for (let field = 1; field < 100; field++) decide(field, [{ field, count: 300 }])
  expect(kept.write({ ...PLACE, committed: 100 }).length).toBeLessThan(50_000)
  // Forgotten: nothing is known of the first field any more.
  expect(decide(100, [{ mark: 7 }])).toEqual([0])
})

it('positions of another log say nothing, and what another version wrote is nothing', () => {
  const kept = new KeptValues()
  const one = valuesOf([{ field: 0, second: 0, ns: 0, mark: 1, count: 2, isDup: false }])
  expect(kept.decide(PLACE, 9, one)).toEqual([0, 1])
  const next = valuesOf([{ field: 0, second: 0, ns: 0, mark: 5, count: 1, isDup: false }])
  expect(kept.decide({ log: 'other', partition: 0 }, 3, next)).toEqual([2])
  expect(kept.decide({ log: 'other', partition: 0 }, 3, next)).toEqual([2])
  expect(KeptValues.read('[2,"of a later version"]').decide(PLACE, 0, one)).toEqual([0, 1])
})
