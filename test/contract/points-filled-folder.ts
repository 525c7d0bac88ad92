import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { expect } from 'vitest'
import { toSluiceError } from '../../shared/errors.ts'
import type { PointStore } from '../../shared/points/port.ts'
import type { FieldType, PointValue, Series } from '../../shared/telemetry.ts'
import { batchOf, pointsIn, seriesOf, streamOf, type Found } from './points-harness.ts'

export const DAY = 24 * 3_600_000
export const START = Date.UTC(2023, 10, 20)
/** Points of each series, over three months. */
export const COUNT = 200
export const MONTH = join('chunks', '1', '2023-11.db')

export const SERIES: readonly Series[] = ['pump-1', 'pump-2', 'pump-3'].flatMap((device) =>
  (['float', 'integer', 'boolean', 'string'] as const).map((type) => seriesOf(type, { device })),
)

function valueOf(type: FieldType, i: number): PointValue {
  return { float: Math.sin(i) * 100, integer: i * 7, boolean: i % 3 === 0, string: `word ${i % 17}` }[type]
}

const timeOf = (i: number) => ({ ms: START + i * (DAY / 4), ns: i % 2 })

function expected(type: FieldType): Found {
  return Array.from({ length: COUNT }, (_, i) => [type, timeOf(i), valueOf(type, i)])
}

export async function fill(store: PointStore, from: number, to: number): Promise<void> {
  for (let start = from; start < to; start += 20) {
    const indexes = Array.from({ length: 20 }, (_, i) => start + i)
    const points = indexes.flatMap((i) =>
      SERIES.map((series) => ({ series, ...timeOf(i), value: valueOf(series.type, i) })),
    )
    await store.write(batchOf(points))
  }
  await store.sync()
}

export function filesOf(folder: string): string[] {
  const names = readdirSync(folder, { recursive: true }).map(String)
  return names.filter((name) => statSync(join(folder, name)).isFile() && statSync(join(folder, name)).size > 0).sort()
}

interface Answers {
  /** How many were `store_corrupt`. */
  readonly errors: number
  /** What was answered, and is not what was written; errors of another kind. */
  readonly wrong: readonly string[]
}

/** Asks for every series, in whole, counted and the last. */
export async function answersOf(store: PointStore): Promise<Answers> {
  let errors = 0
  const wrong: string[] = []
  for (const series of SERIES) {
    const query = { ...streamOf(series), field: series.field, limit: 10_000 }
    const asked = [
      [query, expected(series.type)],
      [{ ...query, aggregate: { function: 'count' } }, [[series.field, timeOf(0), COUNT]]],
      [{ ...query, aggregate: { function: 'last' } }, expected(series.type).slice(-1)],
    ] as const
    for (const [one, answer] of asked) {
      const [found] = await Promise.allSettled([store.query(one)])
      const what = `${series.device} ${series.field} ${'aggregate' in one ? one.aggregate.function : 'all'}`
      if (found.status === 'fulfilled') {
        if (!isDeepStrictEqual(pointsIn(found.value), answer)) wrong.push(what)
      } else if (toSluiceError(found.reason).code === 'store_corrupt') errors++
      else wrong.push(`${what}: ${String(found.reason)}`)
    }
  }
  return { errors, wrong }
}

/** Every answer is the right one or an error that says `store_corrupt`; returns how many are errors. */
export async function checkAnswers(store: PointStore): Promise<number> {
  const { errors, wrong } = await answersOf(store)
  expect(wrong).toEqual([])
  return errors
}
