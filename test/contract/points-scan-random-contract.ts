import fc from 'fast-check'
import { describe, it } from 'vitest'
import type { ScanBudget } from '../../shared/points/port.ts'
import { KINDS } from '../../shared/telemetry.ts'
import { lasting } from '../long.ts'
import { batchOf, openStore, seriesOf, type MakePointsHarness, type TestPoint } from './points-harness.ts'
import { PointModel } from './points-model.ts'
import { ALL, DEVICES, expectRows, SERIES, START, valueOf } from './points-scan-data.ts'
import { AMPLE, expectedRows, scannedToEnd, type Asked } from './points-scan-model.ts'

export function describeRandomScans(name: string, make: MakePointsHarness): void {
  describe(`${name}: random scans`, () => {
    it('looks like a list of points, whatever is asked', async () => {
      const harness = await make()
      const store = await openStore(harness)
      const model = new PointModel()
      const run = async ({ batches, scans }: { batches: Point[][]; scans: Scan[] }): Promise<void> => {
        for (const batch of batches) {
          const points = batch.map(toPoint)
          model.write(points)
          await store.write(batchOf(points))
        }
        await harness.rest()
        for (const { budget, ...asked } of scans) {
          const rows = await scannedToEnd(store, { ...ALL, ...asked, budget: { ...AMPLE, ...budget } })
          expectRows(rows, expectedRows(model.all(), { ...ALL, ...asked }))
        }
      }
      const settings = { numRuns: lasting({ gate: 15, long: 200 }), interruptAfterTimeLimit: 40_000 }
      await fc.assert(fc.asyncProperty(fc.record({ batches, scans }), run), {
        ...settings,
        markInterruptAsFailure: false,
      })
    })
  })
}

interface Point {
  readonly series: number
  readonly ms: number
  readonly ns: number
  readonly value: number
}

interface Scan extends Omit<Asked, 'tenant'> {
  readonly budget: Partial<ScanBudget>
}

function toPoint({ series, ms, ns, value }: Point): TestPoint {
  const one = SERIES[series] ?? seriesOf('float')
  return { series: one, ms, ns, value: valueOf(one.type, value) }
}

const ms = fc.tuple(fc.constantFrom(START, START + 2_678_399_990), fc.nat(40)).map(([base, rest]) => base + rest)
const ns = fc.constantFrom(0, 0, 1, 999_999)
const instant = fc.record({ ms, ns })
const point = fc.record({ series: fc.nat(SERIES.length - 1), ms, ns, value: fc.nat(9) })
const batches = fc.array(fc.array(point, { minLength: 1, maxLength: 40 }), { minLength: 1, maxLength: 3 })
const selector = fc.record(
  {
    devices: fc.subarray([...DEVICES, 'nobody']),
    streams: fc.subarray(['telemetry', 'o*', '????r']),
    fields: fc.subarray(['float', '*', 'm?xed', '*t*g*', 'a.b']),
  },
  { requiredKeys: [] },
)
const budget = fc.record(
  {
    series: fc.integer({ min: 1, max: 5 }),
    points: fc.integer({ min: 1, max: 20 }),
    bytes: fc.integer({ min: 1, max: 500 }),
  },
  { requiredKeys: [] },
)
const scans = fc.array(
  fc.record(
    {
      selector,
      budget,
      kinds: fc.subarray([...KINDS]),
      from: instant,
      to: instant,
      stepMs: fc.constantFrom(1, 7, 1000, 86_400_000),
    },
    { requiredKeys: ['selector', 'budget'] },
  ),
  { minLength: 1, maxLength: 4 },
) as fc.Arbitrary<Scan[]>
