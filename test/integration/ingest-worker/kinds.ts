import fc from 'fast-check'
import { expect } from 'vitest'
import { kindOf as letterKindOf } from '../../../shared/dead-letter.ts'
import type { PointStore } from '../../../shared/points/port.ts'
import { KINDS, kindOf, type FieldType, type Kind, type PointValue } from '../../../shared/telemetry.ts'
import { allPages } from '../../contract/points-harness.ts'
import { World } from '../../unit/services/ingest-worker/harness.ts'

const T = 1_769_860_800_000
/** A shard of InfluxDB, in which a field has one type, is a week or a month long. */
const SHARD_MS = 35 * 86_400_000

/** Sequences that share a worker and a store. */
export const SEQUENCES = 50
const DEVICES = ['first', 'second']

interface Sent {
  readonly device: string
  readonly shard: number
  /** Some values have the time of another one. */
  readonly second: number
  readonly value: PointValue
}

/** What is sent under one name, and which type the registry has for it before. */
interface Sequence {
  readonly type: FieldType | undefined
  readonly all: readonly Sent[]
}

const value = fc.oneof(
  fc.double({ noNaN: true, noDefaultInfinity: true, min: -1e9, max: 1e9 }),
  fc.integer({ min: -1000, max: 1000 }),
  fc.constantFrom('unavailable', 'unknown', 'on', '21.5', '-3', '1e5', 'true', 'x'),
  fc.boolean(),
)
const sent: fc.Arbitrary<Sent> = fc.record({
  device: fc.constantFrom(...DEVICES),
  shard: fc.nat(2),
  second: fc.nat(20),
  value,
})
const sequence: fc.Arbitrary<Sequence> = fc.record({
  type: fc.constantFrom<(FieldType | undefined)[]>(undefined, 'float', 'string', 'boolean'),
  all: fc.array(sent, { minLength: 1, maxLength: 40 }),
})
const run = fc.record({
  sequences: fc.array(sequence, { minLength: SEQUENCES, maxLength: SEQUENCES }),
  partitions: fc.integer({ min: 1, max: 3 }),
  /** After which round of values a new worker takes over. */
  restarts: fc.uniqueArray(fc.nat(39), { maxLength: 4 }),
})

/** Not at a whole second: of texts and booleans there all values are kept. */
const timeOf = ({ shard, second }: Sent): number => T - shard * SHARD_MS + second * 1000 + 500

/** What was sent last of a kind, by time. */
function expected(all: readonly Sent[], device: string, kind: Kind): [number, PointValue][] {
  const byTime = new Map<number, PointValue>()
  for (const one of all) {
    const type = typeof one.value === 'number' ? 'float' : typeof one.value === 'boolean' ? 'boolean' : 'string'
    // -0 has no text of its own in JSON.
    const stored = one.value === 0 ? 0 : one.value
    if (one.device === device && kindOf(type) === kind) byTime.set(timeOf(one), stored)
  }
  return [...byTime].sort(([a], [b]) => a - b)
}

/**
 * Sends numbers, words, numbers in quotes and booleans under one name each, over devices, partitions, shards of a store
 * and restarts of the worker, to a registry in which the field has some type already or none: every value comes back in
 * a query of its kind, nothing is refused. `runs` of {@link SEQUENCES} each.
 */
export async function checkKinds(openStore: () => Promise<PointStore>, runs: number): Promise<void> {
  const property = fc.asyncProperty(run, async ({ sequences, partitions, restarts }) => {
    const world = new World(partitions)
    const store = await openStore()
    for (const [n, { type }] of sequences.entries()) {
      if (type !== undefined) world.registry.types.set(`demo/telemetry/f${n}`, type)
    }
    let worker = await world.work({ points: store })
    const rounds = Math.max(...sequences.map(({ all }) => all.length))
    for (let round = 0; round < rounds; round++) {
      for (const [n, { all }] of sequences.entries()) {
        const one = all[round]
        if (one !== undefined) await world.publish([{ ts: timeOf(one), [`f${n}`]: one.value }], `demo/${one.device}`)
      }
      if (!restarts.includes(round)) continue
      await worker.close()
      worker = await world.work({ points: store })
    }
    await world.settled()
    // That one took the place of another is told.
    expect(world.deadLetters().filter((letter) => letterKindOf(letter) !== 'warning')).toEqual([])
    for (const device of DEVICES) {
      for (const kind of KINDS) {
        const query = { tenant: 'demo', device, stream: 'telemetry', kind, limit: 10_000 }
        const found = Map.groupBy(await allPages(store, query), ([field]) => field)
        for (const [n, { all }] of sequences.entries()) {
          const points = (found.get(`f${n}`) ?? []).map(([, { ms }, stored]) => [ms, stored])
          expect(points).toEqual(expected(all, device, kind))
        }
      }
    }
    await worker.close()
    await store.close()
  })
  // Shrinking would take longer than anybody waits: the seed says which run it was.
  await fc.assert(property, { numRuns: runs, endOnFailure: true })
}
