import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { PointQuery, PointStore } from '../../shared/points/port.ts'
import { KINDS, type PointValue } from '../../shared/telemetry.ts'
import { lasting } from '../long.ts'
import { allPages, batchOf, seriesOf, type MakePointsHarness, type PointsHarness } from './points-harness.ts'
import { PointModel, SERIES, type Range } from './points-model.ts'

type Step =
  | { kind: 'write'; batches: { series: number; ms: number; ns: number; value: number }[][] }
  | { kind: 'delete'; range: Range }
  | { kind: 'query'; query: Omit<PointQuery, 'tenant' | 'cursor'> }
  | { kind: 'rest' | 'reopen' }

/** Times within three months' files, dense enough to meet each other. */
const ms = fc.tuple(fc.constantFrom(0, 2_678_399_990, 5_000_000_000), fc.nat(40)).map(([base, rest]) => base + rest)
const ns = fc.constantFrom(0, 0, 0, 1, 999_999)
const instant = fc.record({ ms, ns })
const maybe = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> => fc.option(arbitrary, { nil: undefined })
const optional = <T extends object>(parts: T): Partial<T> => {
  return Object.fromEntries(Object.entries(parts).filter(([, value]) => value !== undefined)) as Partial<T>
}

const point = fc.record({ series: fc.nat(SERIES.length - 1), ms, ns, value: fc.nat(9) })
const range = fc
  .record({
    device: maybe(fc.constantFrom('pump-1', 'Pump-1')),
    stream: maybe(fc.constant('telemetry')),
    from: maybe(instant),
    to: maybe(instant),
  })
  .map((parts) => ({ tenant: 'acme', ...optional(parts) }) as Range)
const query = fc
  .record({
    device: fc.constantFrom('pump-1', 'Pump-1'),
    stream: fc.constantFrom('telemetry', 'Telemetry'),
    field: fc.constantFrom('float', 'integer', 'boolean', 'string', 'mixed'),
    kind: maybe(fc.constantFrom(...KINDS)),
    allFields: fc.boolean(),
    from: maybe(instant),
    to: maybe(instant),
    limit: fc.integer({ min: 1, max: 12 }),
    aggregate: maybe(
      fc.record({
        function: fc.constantFrom('min', 'max', 'mean', 'sum', 'count', 'first', 'last'),
        intervalMs: maybe(fc.constantFrom(1, 7, 1000, 86_400_000)),
      }),
    ),
  })
  .map(({ allFields, field, kind, from, to, aggregate, ...rest }) => ({
    ...rest,
    ...optional({ field: allFields ? undefined : field, kind, from, to }),
    ...(aggregate === undefined ? {} : { aggregate: { function: aggregate.function, ...optional(aggregate) } }),
  })) as fc.Arbitrary<Omit<PointQuery, 'tenant' | 'cursor'>>

const batch = fc.array(point, { minLength: 1, maxLength: 30 })
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant('write' as const),
      batches: fc.array(batch, { minLength: 1, maxLength: 3 }),
    }),
  },
  { weight: 8, arbitrary: fc.record({ kind: fc.constant('query' as const), query }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('delete' as const), range }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constantFrom('rest' as const, 'reopen' as const) }) },
)

/** A small number as a value of each type, among them awkward ones. */
function valueOf(series: number, n: number): PointValue {
  switch (SERIES[series]?.type) {
    case 'integer':
      return n > 7 ? 2n ** 60n + BigInt(n) : n - 4
    case 'boolean':
      return n % 2 === 0
    case 'string':
      return `state ${n} 🌡`.repeat(n % 3)
    default:
      return [0.1, -0, 1e-7, 0.30000000000000004, -3, 21.5, 1e15, 2 ** 53, 1 / 3, 5][n] ?? 0
  }
}

async function check(store: PointStore, model: PointModel, asked: PointQuery): Promise<void> {
  const expected = model.query(asked)
  if (expected.refused === true) return expectRefused(store, asked)
  const found = await allPages(store, asked).catch((error: unknown) => {
    if (expected.refused === undefined) return undefined
    throw error
  })
  if (found === undefined) return expectRefused(store, asked)
  expect(found.map(([field, time]) => [field, time])).toEqual(expected.points.map(([field, time]) => [field, time]))
  found.forEach(([, , value], i) => {
    const want = expected.points[i]?.[2]
    // Sums may be rounded in another order; everything else is exact.
    if (expected.tolerance === undefined) expect(value).toStrictEqual(want)
    else expect(Math.abs(Number(value) - Number(want))).toBeLessThanOrEqual(expected.tolerance)
  })
}

async function expectRefused(store: PointStore, asked: PointQuery): Promise<void> {
  await expect(store.query(asked)).rejects.toMatchObject({ code: 'bad_request' })
}

async function run(harness: PointsHarness, steps: readonly Step[]): Promise<void> {
  const model = new PointModel()
  let store = await harness.open()
  try {
    for (const one of steps) {
      if (one.kind === 'write') {
        const batches = one.batches.map((points) =>
          points.map(({ series, value, ...time }) => {
            return { series: SERIES[series] ?? seriesOf('float'), ...time, value: valueOf(series, value) }
          }),
        )
        for (const points of batches) model.write(points)
        await Promise.all(batches.map((points) => store.write(batchOf(points))))
      } else if (one.kind === 'query') await check(store, model, { tenant: 'acme', ...one.query })
      else if (one.kind === 'delete') {
        model.delete(one.range)
        await store.delete(one.range)
      } else if (one.kind === 'rest') await harness.rest()
      else {
        await store.close()
        store = await harness.open()
      }
    }
    for (const { device, stream } of SERIES)
      await check(store, model, { tenant: 'acme', device, stream, limit: 10_000 })
  } finally {
    await store.close()
  }
}

/** Random writes, deletes, queries and reopenings against the model. */
export function describePointModel(name: string, make: MakePointsHarness): void {
  describe(`${name}: random sequences of steps`, () => {
    it('looks like a map from identity to value', async () => {
      await fc.assert(
        fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 40 }), async (steps) => run(await make(), steps)),
        { numRuns: lasting({ gate: 12, long: 200 }), interruptAfterTimeLimit: 60_000, markInterruptAsFailure: false },
      )
    })
  })
}
