import { expect } from 'vitest'
import type { PointValue } from '../../shared/telemetry.ts'
import { seriesOf } from './points-harness.ts'
import type { Asked, ScanRow } from './points-scan-model.ts'

export const START = 1_700_000_000_000
const TYPES = ['float', 'integer', 'boolean', 'string'] as const

/** Names in an order that is not that of UTF-16. */
export const DEVICES = ['Pump-1', 'pump-1', 'pump-2', 'pump-\ufb01', 'pump-😀']

export const SERIES = DEVICES.flatMap((device) => [
  ...TYPES.map((type) => seriesOf(type, { device })),
  ...(['float', 'boolean', 'string'] as const).map((type) => seriesOf(type, { device, field: 'mixed' })),
  seriesOf('float', { device, stream: 'other', field: 'a.b' }),
])

export const ALL: Asked = { tenant: 'acme', selector: {} }

export function valueOf(type: (typeof TYPES)[number], n: number): PointValue {
  switch (type) {
    case 'float':
      return [0.5, -0, 1e-7, -3, 21.5, 1e15][n % 6] ?? 0
    case 'integer':
      return n % 5 === 4 ? 2n ** 60n + BigInt(n) : n - 4
    case 'boolean':
      return n % 2 === 0
    case 'string':
      return `state ${n} 🌡`.repeat(n % 3)
  }
}

/** Sums may be rounded in another order; all else is exact. */
export function expectRows(rows: readonly ScanRow[], expected: readonly ScanRow[]): void {
  const bare = (all: readonly ScanRow[]) => all.map(([series, time, { sum: _, ...values }]) => [series, time, values])
  expect(bare(rows)).toStrictEqual(bare(expected))
  rows.forEach(([, , { sum }], i) => {
    const want = expected[i]?.[2].sum
    if (want === undefined) expect(sum).toBeUndefined()
    else expect(Math.abs(Number(sum) - Number(want))).toBeLessThanOrEqual(1e-9 + Math.abs(Number(want)) * 1e-12)
  })
}
