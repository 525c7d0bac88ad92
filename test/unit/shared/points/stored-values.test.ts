import fc from 'fast-check'
import { expect, it } from 'vitest'
import type { PointPage, PointQuery } from '../../../../shared/points/port.ts'
import { identityOf, isSameValue, storedValues } from '../../../../shared/points/stored-values.ts'
import { MAX_INSTANT, type FieldType, type PointBatch, type PointValue } from '../../../../shared/telemetry.ts'
import { MemoryPoints } from '../../../fakes/memory-points.ts'

/** A store that answers with at most `size` series a page: what a span holds does not fit into one. */
class Paging extends MemoryPoints {
  readonly size: number
  questions = 0

  constructor(size: number) {
    super()
    this.size = size
  }

  override async query(query: PointQuery): Promise<PointPage> {
    this.questions += 1
    const all = await super.query(query)
    const from = Number(query.cursor ?? 0)
    const to = from + this.size
    const next = to < all.series.length ? String(to) : undefined
    return { ...all, series: all.series.slice(from, to), complete: next === undefined, next }
  }
}

interface Point {
  readonly device: string
  readonly stream: string
  readonly field: string
  readonly ms: number
  readonly ns: number
  readonly value: PointValue
}

function batchOf(points: readonly Point[]): PointBatch {
  return {
    series: points.map(({ device, stream, field, value }) => ({
      tenant: 't',
      device,
      stream,
      field,
      type: typeOf(value),
    })),
    ms: points.map(({ ms }) => ms),
    ns: points.map(({ ns }) => ns),
    values: points.map(({ value }) => value),
  }
}

function typeOf(value: PointValue): FieldType {
  return typeof value === 'string' ? 'string' : typeof value === 'boolean' ? 'boolean' : 'float'
}

const point = fc.record({
  device: fc.constantFrom('a', 'A'),
  stream: fc.constantFrom('x', 'y'),
  field: fc.constantFrom('f', 'g', 'f.g'),
  ms: fc.constantFrom(0, 1, 5, MAX_INSTANT.ms),
  ns: fc.constantFrom(0, 1, MAX_INSTANT.ns),
  value: fc.constantFrom<PointValue[]>(0, 1.5, true, false, '', 'text'),
})

it('gives what the store has in the place of each point, however much lies between', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(point), fc.array(point), fc.integer({ min: 1, max: 5 }), async (there, asked, size) => {
      const store = new Paging(size)
      const held = batchOf(there)
      await store.write(held)
      const model = new Map(held.values.map((value, i) => [identityOf(held, i), value]))
      const batch = batchOf(asked)
      expect(await storedValues(store, batch)).toEqual(asked.map((_, i) => model.get(identityOf(batch, i))))
    }),
  )
})

it('asks once for what fits into one answer', async () => {
  const store = new Paging(10_000)
  const points = Array.from({ length: 1000 }, (_, ms) => ({
    device: 'a',
    stream: 'x',
    field: 'f',
    ms,
    ns: 0,
    value: ms,
  }))
  await store.write(batchOf(points))
  await storedValues(store, batchOf(points))
  expect(store.questions).toBe(1)
})

it('takes a double for the integer that it stands for, and no two integers for the same', () => {
  expect(isSameValue(9_007_199_254_740_993n, 9_007_199_254_740_992)).toBe(true)
  expect(isSameValue(9_007_199_254_740_993n, 9_007_199_254_740_992n)).toBe(false)
  expect(isSameValue(-0, 0)).toBe(true)
  expect([isSameValue(1, '1'), isSameValue(1, true), isSameValue('a', 'b')]).toEqual([false, false, false])
})
