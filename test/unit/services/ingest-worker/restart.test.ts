import { describe, expect, it, vi } from 'vitest'
import { kindOf } from '../../../../shared/dead-letter.ts'
import { SluiceError } from '../../../../shared/errors.ts'
import { logThatCommitsFirst, pointsNeverSynced } from '../../../variants/log-that-commits-first.ts'
import { withMethods } from '../../../../load-tests/reference/overriding.ts'
import { World } from './harness.ts'
import { mortal, type Ports } from './mortal.ts'
import { PATIENCE } from '../../../patience.ts'

const T = 1_769_860_800_000

/** What is there at the end: points, latest values, dead letters by source, each once. A new worker may warn once more. */
function remains(world: World): unknown {
  const letters = world
    .deadLetters()
    .filter((letter) => kindOf(letter) !== 'warning')
    .map(({ source, code }) => `${JSON.stringify(source)} ${code}`)
  const states = [...world.registry.states].map(([key, { fields, offset }]) => [key, fields, offset])
  return { points: [...world.points.visible].sort(), letters: [...new Set(letters)].sort(), states: states.sort() }
}

const payloads = Array.from({ length: 60 }, (_, n) => {
  if (n % 20 === 13) return '{not JSON'
  return { ts: T + (n % 17), n, [`f${n % 3}`]: n }
})

/** One worker until its death, a power cut, and another worker; what remains. */
async function killAndRestart(at: number, lost: boolean, broken: (ports: Ports) => Ports): Promise<unknown> {
  const world = new World()
  await world.publish(payloads)
  const { ports, killed } = mortal(broken(world), at, lost)
  const settings = {
    INGEST_BATCH_RECORDS: '10',
    INGEST_WRITE_POINTS: '20',
    INGEST_CHECKPOINT_RECORDS: '15',
    INGEST_CLOSE_MS: '1',
  }
  const first = await world.work(ports, settings)
  await Promise.race([killed, world.settled()])
  await first.close()
  world.points.crash()
  await world.work({}, settings)
  await world.settled()
  return remains(world)
}

const MOMENTS = Array.from({ length: 24 }, (_, i) => ({ at: 1 + (i >> 1), lost: i % 2 === 0 }))

async function undisturbed(): Promise<unknown> {
  const world = new World()
  await world.publish(payloads)
  await world.work()
  await world.settled()
  return remains(world)
}

describe('a worker killed at any call to a port, and a power cut, change nothing in the end', () => {
  it.each(MOMENTS)('call $at, effect lost: $lost', async ({ at, lost }) => {
    expect(await killAndRestart(at, lost, (ports) => ports)).toEqual(await undisturbed())
  })
})

describe('a store that goes back to its last good sync', () => {
  it.each([1, 2, 3])('is given again what it lost, sync %i', async (at) => {
    const world = new World()
    await world.publish(payloads)
    let syncs = 0
    const points = withMethods(world.points, {
      async sync() {
        syncs += 1
        if (syncs !== at) return world.points.sync()
        world.points.crash()
        throw new SluiceError('store_rewound', 'a sync failed')
      },
    })
    await world.work(
      { points },
      { INGEST_BATCH_RECORDS: '10', INGEST_WRITE_POINTS: '20', INGEST_CHECKPOINT_RECORDS: '15' },
    )
    await world.settled()
    expect(syncs).toBeGreaterThan(at)
    expect(await remains(world)).toEqual(await undisturbed())
  })
})

describe('the same kills find the loss of known-wrong variants', () => {
  it.each([
    { name: 'offsets committed before the write', broken: (p: Ports) => ({ ...p, log: logThatCommitsFirst(p.log) }) },
    { name: 'points never synced', broken: (p: Ports) => ({ ...p, points: pointsNeverSynced(p.points) }) },
  ])('$name', async ({ broken }) => {
    const right = await undisturbed()
    const results = await Promise.all(MOMENTS.map(({ at, lost }) => killAndRestart(at, lost, broken)))
    expect(results.some((result) => !isSame(result, right))).toBe(true)
  })
})

function isSame(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b)
}

describe('a checkpoint', () => {
  it('flushes state, syncs points and commits, in this order, behind the dead letters', async () => {
    const world = new World()
    await world.publish(['{not JSON', { a: 1 }])
    const journal: string[] = []
    const noting = <T extends object>(port: T, ...names: string[]): T =>
      withMethods(
        port,
        Object.fromEntries(
          names.map((name) => [
            name,
            async (...args: unknown[]) => {
              const result: unknown = await Reflect.apply(Reflect.get(port, name) as () => unknown, port, args) // a method
              journal.push(name)
              return result
            },
          ]),
        ),
      )
    const log = noting(world.log, 'append')
    const consume: typeof log.consume = async (options) => noting(await log.consume(options), 'commit')
    await world.work({
      log: withMethods(log, { consume }),
      points: noting(world.points, 'write', 'sync'),
      registry: noting(world.registry, 'writeState'),
    })
    await world.settled()
    await vi.waitFor(() => expect(journal).toEqual(['write', 'append', 'writeState', 'sync', 'commit']), PATIENCE)
  })
})
