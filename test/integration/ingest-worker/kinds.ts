import fc from 'fast-check'
import { expect } from 'vitest'
import type { PointStore } from '../../../shared/points/port.ts'
import { KINDS, kindOf, type FieldType, type Kind, type PointValue } from '../../../shared/telemetry.ts'
import { allPages } from '../../contract/points-harness.ts'
import { World } from '../../unit/services/ingest-worker/harness.ts'

const T = 1_769_860_800_000

interface Sent {
  readonly device: string
  /** Some values have the time of another one. */
  readonly second: number
  readonly value: PointValue
  /** Whether a new worker takes over behind it. */
  readonly restart: boolean
}

const value = fc.oneof(
  fc.double({ noNaN: true, noDefaultInfinity: true, min: -1e9, max: 1e9 }),
  fc.integer({ min: -1000, max: 1000 }),
  fc.constantFrom('unavailable', 'unknown', 'on', '21.5', '-3', '1e5', 'true', 'x'),
  fc.boolean(),
)
const sent: fc.Arbitrary<Sent> = fc.record({
  device: fc.constantFrom('first', 'second'),
  second: fc.nat(400),
  value,
  restart: fc.integer({ min: 0, max: 60 }).map((n) => n === 0),
})
const first = fc.constantFrom<(FieldType | undefined)[]>(undefined, 'float', 'string', 'boolean')

/** What was sent last of a kind, by time. */
function expected(all: readonly Sent[], device: string, kind: Kind): [number, PointValue][] {
  const byTime = new Map<number, PointValue>()
  for (const one of all) {
    const type = typeof one.value === 'number' ? 'float' : typeof one.value === 'boolean' ? 'boolean' : 'string'
    // -0 has no text of its own in JSON.
    const stored = one.value === 0 ? 0 : one.value
    if (one.device === device && kindOf(type) === kind) byTime.set(T + one.second * 1000, stored)
  }
  return [...byTime].sort(([a], [b]) => a - b)
}

/**
 * Sends numbers, words, numbers in quotes and booleans under one name, over devices and restarts of the worker, to a
 * registry in which the field has some type already or none: every value comes back in a query of its kind, nothing is
 * refused.
 */
export async function checkKinds(openStore: () => Promise<PointStore>, runs: number, most: number): Promise<void> {
  const sequences = fc.tuple(first, fc.array(sent, { minLength: most / 2, maxLength: most }))
  await fc.assert(
    fc.asyncProperty(sequences, async ([type, all]) => {
      const world = new World()
      const store = await openStore()
      if (type !== undefined) world.registry.types.set('demo/telemetry/f', type)
      let worker = await world.work({ points: store })
      for (const { device, second, value: f, restart } of all) {
        await world.publish([{ ts: T + second * 1000, f }], `demo/${device}`)
        if (!restart) continue
        await worker.close()
        worker = await world.work({ points: store })
      }
      await world.settled()
      expect(world.deadLetters()).toEqual([])
      for (const device of ['first', 'second']) {
        for (const kind of KINDS) {
          const query = { tenant: 'demo', device, stream: 'telemetry', field: 'f', kind, limit: 10_000 }
          const found = (await allPages(store, query)).map(([, { ms }, stored]) => [ms, stored])
          expect(found).toEqual(expected(all, device, kind))
        }
      }
      await worker.close()
      await store.close()
    }),
    { numRuns: runs },
  )
}
